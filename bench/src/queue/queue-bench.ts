import { measureBareBullmq } from '@tarfleet/queue';
import { startRedis } from '@tarfleet/testbed';
import { type Bench, type BenchContext, type Figure, figure } from '../bench.ts';
import { startBenchPostgres } from '../postgres.ts';
import { table } from '../table.ts';
import { measureBackups } from './measure-backups.ts';

type Backend = 'postgres' | 'redis';

/** Bare BullMQ runs this many jobs, 50 at once. */
const BARE = { postgres: 4_000, redis: 30_000 };
const GOALS = { postgres: 0.1, redis: 0.015 };

export const queueBench: Bench = {
  name: 'queue',
  about: 'trivial backups a second, from HTTP to the final state, beside jobs a second of bare BullMQ',
  async run(context) {
    const figures: Figure[] = [];
    for (const backend of ['postgres', 'redis'] as const) {
      if (context.parts.length > 0 && !context.parts.includes(backend)) continue;
      figures.push(...(await runOn(backend, context)));
    }
    return figures;
  },
};

async function runOn(backend: Backend, context: BenchContext): Promise<Figure[]> {
  const { say, signal } = context;
  const dir = await context.folder();
  const postgres = context.own(await startBenchPostgres(dir));
  const redis = backend === 'redis' ? context.own(await startRedis()) : null;
  const bareUrl = redis?.url(1) ?? (await postgres.database('bare'));
  // The first round warms up what the second measures.
  const bareJobs = { url: bareUrl, concurrency: 50, signal };
  await measureBareBullmq({ ...bareJobs, jobs: BARE[backend] / 4 });
  const { jobsPerSecond } = await measureBareBullmq({ ...bareJobs, jobs: BARE[backend] });
  say(`${backend}: bare BullMQ adds and completes ${jobsPerSecond.toFixed(0)} jobs a second`);

  const measured = await measureBackups({
    context,
    dir,
    databaseUrl: await postgres.database('tarfleet'),
    queueUrl: redis?.url(0) ?? (await postgres.database('tarfleet_queue')),
    servers: { postgres: postgres.pid, ...(redis?.process.pid ? { redis: redis.process.pid } : {}) },
  });
  const { backups, seconds, posts, cpu } = measured;
  const perSecond = backups / seconds;
  const ratio = perSecond / jobsPerSecond;
  say(
    `${backend}: ${backups} backups in ${seconds.toFixed(1)} s, ${perSecond.toFixed(1)} a second: ${ratio.toFixed(4)} of bare BullMQ (goal ${GOALS[backend]}: ${ratio >= GOALS[backend] ? 'met' : 'missed'})\n`,
  );
  const rows = cpu.map(({ name, seconds: used }) => [name, (used * 1000) / backups] as const);
  const total = rows.reduce((sum, [, ms]) => sum + ms, 0);
  say(table([`${backend}: processor time of`, 'ms a backup'], [...rows, ['all of it', total]]));
  say('');
  const name = `queue-${backend}`;
  return [
    figure('queue', name, perSecond, jobsPerSecond),
    figure('queue', `${name}-post-p50-ms`, quantile(posts, 0.5)),
    figure('queue', `${name}-post-p99-ms`, quantile(posts, 0.99)),
    figure('queue', `${name}-cpu-ms`, total),
  ];
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
