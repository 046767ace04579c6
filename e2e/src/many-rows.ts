import { setTimeout as sleep } from 'node:timers/promises';
import { fillProject, startPostgresServer, TWELVE_TABLE_SETTINGS, TWELVE_TABLES } from '@tarfleet/testbed';
import type { Client } from './client.ts';
import { until } from './until.ts';
import { createWorld } from './world.ts';

const PASSWORD = 'many-rows-1';

/** A project of many rows in a database that it shares, its backup, and projects that this goes into. */
export interface ManyRows {
  client: Client;
  /** The project that was backed up. */
  own: number;
  /** An empty one with a service of its own. */
  addProject(): Promise<number>;
  /** Gives the job. */
  restoreInto(project: number): Promise<string>;
  /** `none`, or `all of transaction N`; whatever lies in between, table by table. One statement, and so one snapshot. */
  look(project: number): Promise<string>;
  /** Looks all the time; `stop` gives what was seen, in its order. */
  watch(project: number): { looks(): number; stop(): Promise<string[]> };
  /** Every row of all other projects, with where it lies and by whom it was written, as one number. */
  strangersOf(project: number): Promise<string>;
  /** What hangs on what by names, as numbers: the same for a copy under new keys. */
  shapeOf(project: number): Promise<string>;
  inTransaction(): Promise<boolean>;
  /** Keeps the next restore from coming to its end, when most of its rows are written. Gives what lets it go on. */
  holdUp(): Promise<() => Promise<void>>;
  isHeldUp(): Promise<boolean>;
  kill(): Promise<void>;
  revive(): Promise<void>;
  close(): Promise<void>;
}

export async function openManyRows(rows: number, patienceMs: number): Promise<ManyRows> {
  const opened: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one();
  };
  try {
    return { ...(await open(opened, rows, patienceMs)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(opened: (() => Promise<unknown>)[], rows: number, patienceMs: number) {
  const postgres = await startPostgresServer({ password: PASSWORD });
  opened.push(() => postgres.stop());
  const world = await createWorld('postgres', { workerEnv: { LOCK_MS: '2000', STALLED_CHECK_MS: '500' } });
  opened.push(() => world.close());
  const { client, stack, sshd } = world;
  const sql = (statements: string): Promise<string> => postgres.sql('cloudbox', statements);
  const addServer = async (project?: number): Promise<number> => {
    const { data: server } = await client.must('POST', '/api/servers', {
      ...{ name: `of ${project ?? 'many'}`, kind: 'ssh', host: sshd.host, port: sshd.port },
      ...(project === undefined ? {} : { project_id: project }),
      ...{ username: sshd.username, auth: { type: 'private_key', private_key: sshd.privateKey } },
      host_key_fingerprint: sshd.fingerprint,
    });
    await client.must('POST', `/api/servers/${server.id}/services`, {
      ...{ name: 'project', type: 'rows', component: 'user_data' },
      database: {
        ...{ host: '127.0.0.1', port: postgres.port, username: 'postgres', password: PASSWORD },
        ...{ databases: ['cloudbox'], rows: TWELVE_TABLE_SETTINGS },
      },
    });
    return server.project_id;
  };
  const own = await addServer();
  await postgres.sql('postgres', 'CREATE DATABASE cloudbox');
  await sql(TWELVE_TABLES + fillProject(own, 3) + fillProject(1_000_000, 30) + manyRows(own, rows));
  const request = { type: 'full', encrypt: false, verify: false };
  const { backup_id } = (await client.must('POST', '/api/backups/create', request)).data;
  const job = await client.ended(backup_id, patienceMs);
  if (job.state !== 'completed') throw new Error(`The backup has not ended well: ${JSON.stringify(job)}`);
  const expected = await sql(countsOf(own));
  const tables = (text: string): string => text.replace(/\|\d+\|\d+$/gm, '');

  const look = async (project: number): Promise<string> => {
    const found = await sql(countsOf(project));
    if (found === '') return 'none';
    const [first, ...others] = [
      ...new Set([...found.matchAll(/\d+\|\d+$/gm)].flatMap(([all]) => all.split('|'))),
    ];
    if (tables(found) !== tables(expected) || others.length > 0) return `something between: ${found}`;
    return `all of transaction ${first}`;
  };
  const psql =
    "datname = 'cloudbox' AND application_name = 'psql' AND backend_xid IS NOT NULL AND wait_event IS DISTINCT FROM 'PgSleep'";
  const isThere = async (where: string): Promise<boolean> =>
    (await postgres.sql('postgres', `SELECT count(*) > 0 FROM pg_stat_activity WHERE ${where}`)) === 't\n';
  let workers = [...stack.workers];
  return {
    ...{ client, own, look },
    async addProject() {
      const { data } = await client.must('POST', '/api/projects', { name: `Copy ${Date.now()}` });
      await addServer(data.id);
      await sql(`INSERT INTO projects (id, name) VALUES (${data.id}, 'Copy')`);
      return data.id as number;
    },
    async restoreInto(project: number) {
      const body = { target_project_id: project, verifyIntegrity: false };
      return (await client.must('POST', `/api/backups/${backup_id}/restore`, body)).data
        .restoreJobId as string;
    },
    watch(project: number) {
      let [looks, isOver] = [0, false];
      const seen: string[] = [];
      const looking = (async () => {
        for (;;) {
          // What is there at the end is seen in any case.
          const isLast = isOver;
          const now = await look(project);
          looks += 1;
          if (seen.at(-1) !== now) seen.push(now);
          if (isLast) return seen;
          await sleep(10);
        }
      })();
      looking.catch(() => undefined);
      return {
        looks: () => looks,
        stop: () => {
          isOver = true;
          return looking;
        },
      };
    },
    strangersOf: (project: number) => sql(everyRowBut(project)),
    shapeOf: (project: number) => sql(shape(project)),
    inTransaction: () => isThere(psql),
    async holdUp() {
      // Rows of `api_keys`, which come late, refer to this one.
      const holding = sql('BEGIN; SELECT FROM users WHERE id = 2 FOR UPDATE; SELECT pg_sleep(3600) AS held');
      holding.catch(() => undefined);
      await until('it is held', () =>
        isThere("query LIKE 'BEGIN; SELECT FROM users%' AND wait_event = 'PgSleep'"),
      );
      return async () => {
        const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        await postgres.sql('postgres', end);
      };
    },
    isHeldUp: () => isThere(`${psql} AND wait_event_type = 'Lock'`),
    async kill() {
      for (const { child } of workers) child.kill('SIGKILL');
      await until('they are dead', async () => workers.every(({ child }) => child.signalCode !== null));
    },
    async revive() {
      workers = [await stack.addWorker()];
    },
  };
}

const TABLES = TWELVE_TABLE_SETTINGS.tables.map(({ name }) => name);
const PARENTS: Record<string, string> = {
  documents: 'JOIN collections o ON o.id = t.collection_id',
  function_domains: 'JOIN functions o ON o.id = t.function_id',
};

/** How many rows of each table are a project's, and by which transactions they were written. */
function countsOf(project: number): string {
  const counts = TABLES.map(
    (
      name,
    ) => `SELECT '${name}' AS name, count(*) AS rows, min(t.xmin::text::bigint), max(t.xmin::text::bigint) FROM ${name} t
      ${PARENTS[name] ?? ''} WHERE ${PARENTS[name] ? 'o' : 't'}.project_id = ${project}`,
  );
  return `SELECT * FROM (${counts.join(' UNION ALL ')}) c WHERE rows > 0 ORDER BY name`;
}

function everyRowBut(project: number): string {
  const hashes = TABLES.map(
    (name) => `SELECT hashtext(concat('${name}', t.ctid, t.xmin, t))::bigint AS h FROM ${name} t
      ${PARENTS[name] ?? ''} WHERE ${PARENTS[name] ? 'o' : 't'}.project_id <> ${project}`,
  );
  return `SELECT count(*), sum(h) FROM (${hashes.join(' UNION ALL ')}) r`;
}

/** Half of them documents and what belongs to these, half of them files and log entries. The foreign keys have indexes. */
function manyRows(project: number, rows: number): string {
  return `CREATE INDEX ON collections (project_id); CREATE INDEX ON collections (cover_id);
    CREATE INDEX ON documents (collection_id); CREATE INDEX ON documents (parent_id); CREATE INDEX ON files (document_id);
    INSERT INTO collections (project_id, name) SELECT ${project}, 'many ' || n FROM generate_series(1, 100) n;
    INSERT INTO documents (collection_id, title, data, version)
      SELECT c.id, 'document ' || n, jsonb_build_object('n', n, 'text', repeat(md5(n::text), 4)), n
      FROM generate_series(1, ${Math.floor(rows / 2)}) n JOIN collections c ON c.name = 'many ' || (1 + n % 100);
    INSERT INTO files (project_id, document_id, name, content)
      SELECT ${project}, id, 'file of ' || title, decode(md5(title), 'hex') FROM documents WHERE title LIKE 'document%' LIMIT ${Math.floor(rows / 4)};
    INSERT INTO audit_logs (project_id, document_id, at, big)
      SELECT ${project}, id, now(), version FROM documents WHERE title LIKE 'document%' LIMIT ${Math.floor(rows / 4)};
    UPDATE documents d SET parent_id = c.first FROM (SELECT collection_id, min(id::text)::uuid AS first FROM documents
      WHERE title LIKE 'document%' GROUP BY 1) c WHERE c.collection_id = d.collection_id AND d.version % 10 = 0;
    UPDATE collections c SET cover_id = (SELECT id FROM documents WHERE collection_id = c.id ORDER BY title LIMIT 1) WHERE name LIKE 'many%';
    ANALYZE;`;
}

function shape(id: number): string {
  return `SELECT 'documents', count(*), sum(hashtext(concat_ws('|', c.name, cover.title, d.title, p.title, d.data, d.version))::bigint)
      FROM documents d JOIN collections c ON c.id = d.collection_id LEFT JOIN documents cover ON cover.id = c.cover_id
      LEFT JOIN documents p ON p.id = d.parent_id WHERE c.project_id = ${id}
    UNION ALL SELECT 'files', count(*), sum(hashtext(concat_ws('|', f.name, f.content, d.title))::bigint)
      FROM files f LEFT JOIN documents d ON d.id = f.document_id WHERE f.project_id = ${id}
    UNION ALL SELECT 'logs', count(*), sum(hashtext(concat_ws('|', l.at, l.big, d.title))::bigint)
      FROM audit_logs l LEFT JOIN documents d ON d.id = l.document_id WHERE l.project_id = ${id} ORDER BY 1`;
}
