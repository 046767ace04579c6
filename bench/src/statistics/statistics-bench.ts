import { createDatabase, migrateDatabase, type StatisticsFilter, statisticsQueries } from '@tarfleet/db';
import pg from 'pg';
import { type Bench, figure } from '../bench.ts';
import { startBenchPostgres } from '../postgres.ts';
import { table } from '../table.ts';

const BACKUPS = 1_000_000;
/** They lie this many days back, evenly. */
const DAYS = 1_000;
const ROUNDS = 9;

export const statisticsBench: Bench = {
  name: 'statistics',
  about: `statistics over ${BACKUPS} backups, beside one plain pass of Postgres over their table; milliseconds`,
  async run(context) {
    const { say, signal } = context;
    const dir = await context.folder();
    const postgres = context.own(await startBenchPostgres(dir));
    const url = await postgres.database('tarfleet');
    await migrateDatabase(url);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    context.own({ stop: () => client.end() });
    say(`Writing ${BACKUPS} backups`);
    await client.query(ROWS);
    await client.query('VACUUM ANALYZE backups');
    signal.throwIfAborted();
    const db = createDatabase({ url });
    context.own({ stop: () => db.close() });

    const median = async (action: () => Promise<unknown>): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round <= ROUNDS; round += 1) {
        signal.throwIfAborted();
        const begun = performance.now();
        await action();
        // The first one only warms up.
        if (round > 0) times.push(performance.now() - begun);
      }
      return times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
    };
    const ask = ({ from, to, projectIds }: StatisticsFilter): Promise<unknown> =>
      db.transaction(async ({ statistics }) => {
        await statistics.byType({ projectIds, from, to });
        await statistics.storage(projectIds);
        await statistics.retention({ projectIds, from, to });
      });
    const pass = await median(() =>
      client.query('SELECT count(*), sum(size_bytes), max(completed_at), max(name) FROM backups'),
    );
    const to = new Date();
    const since = (days: number): Date => new Date(to.getTime() - days * 86_400_000);
    const asked: [string, StatisticsFilter][] = [
      ['day', { projectIds: null, from: since(1), to }],
      ['month', { projectIds: null, from: since(31), to }],
      ['year', { projectIds: null, from: since(365), to }],
      ['year-of-one-project', { projectIds: [1], from: since(365), to }],
    ];
    const found: [string, number][] = [];
    for (const [name, filter] of asked) found.push([name, await median(() => ask(filter))]);

    for (const [name, query] of Object.entries(
      statisticsQueries({ projectIds: null, from: since(31), to }),
    )) {
      const plan = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ${query.text}`,
        query.values as unknown[],
      );
      say(`\nThe plan of ${name}, for a month:`);
      for (const row of plan.rows) say(`  ${row['QUERY PLAN']}`);
    }
    say('');
    say(
      table(
        ['statistics of', 'ms', 'plain pass', 'ratio'],
        found.map(([name, ms]) => [name, ms, pass, ms / pass]),
      ),
    );
    say('');
    return found.map(([name, ms]) => figure('statistics', `statistics-${name}`, ms, pass));
  },
};

const ROWS = `
  INSERT INTO projects (name) SELECT 'project ' || n FROM generate_series(1, 20) AS n;
  INSERT INTO destinations (id, name, type, config)
    SELECT gen_random_uuid(), 'destination ' || n, 'local', '{"path":"/srv"}' FROM generate_series(1, 4) AS n;
  WITH places AS (SELECT array_agg(id) AS ids FROM destinations)
  INSERT INTO backups (id, project_id, name, type, dialect, status, outcome, destination_id, key_prefix, size_bytes,
    content_bytes, files_count, retention_days, created_at, started_at, completed_at, retention_until)
  SELECT gen_random_uuid(), 1 + n % 20, 'backup ' || n,
    CASE WHEN n % 7 = 0 THEN 'full' ELSE 'incremental' END, 'botserver',
    CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 3 = 0 THEN 'deleted' ELSE 'completed' END,
    CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END,
    places.ids[1 + n % 4], 'project/' || n, n * 1000::bigint, n * 3000::bigint, n % 1000, 90, at,
    at, at + make_interval(secs => n % 4000), at + interval '90 days'
  FROM places, generate_series(1, ${BACKUPS}) AS n,
    LATERAL (SELECT now() - make_interval(secs => n * ${DAYS}.0 * 86400 / ${BACKUPS}) AS at) AS made`;
