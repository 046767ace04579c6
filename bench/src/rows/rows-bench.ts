import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createLogger } from '@tarfleet/kernel';
import { startStack } from '@tarfleet/stack';
import {
  type RunningPostgres,
  startPostgresServer,
  startSshd,
  TWELVE_TABLE_SETTINGS,
  TWELVE_TABLES,
} from '@tarfleet/testbed';
import { type Bench, figure } from '../bench.ts';
import { type Client, signIn } from '../client.ts';
import { startBenchPostgres } from '../postgres.ts';
import { table } from '../table.ts';
import { untilEnded } from '../until-ended.ts';

const ROWS = 1_000_000;
const PASSWORD = 'bench-password';
const TABLES = ['collections', 'documents', 'files'];
const run = promisify(execFile);

export const rowsBench: Bench = {
  name: 'rows',
  about:
    'a project of 1,000,000 rows (or as many as `bench rows N` says) restored into another, against pg_dump | pg_restore',
  async run(context) {
    const { say, signal } = context;
    const rows = Number(context.parts[0] ?? ROWS);
    if (!Number.isInteger(rows) || rows < 1_000)
      throw new Error('bench rows takes a number of rows, 1000 or more.');
    const dir = await context.folder();
    const shared = context.own(await startPostgresServer({ password: PASSWORD }));
    const sshd = context.own(await startSshd());
    const postgres = context.own(await startBenchPostgres(dir));
    const stack = context.own(
      await startStack({
        dir: join(dir, 'stack'),
        logger: createLogger({ level: 'silent', process: 'bench' }),
        ...{ port: 0, workers: 1, localRoots: [dir], adminEmail: 'bench@localhost', adminPassword: PASSWORD },
        databaseUrl: await postgres.database('tarfleet'),
        queueUrl: await postgres.database('tarfleet_queue'),
        ...{ apiEnv: context.processEnv, workerEnv: context.processEnv },
      }),
    );
    const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
    context.own({ stop: async () => client.close() });
    const { data: other } = await client.call('POST', '/api/projects', { name: 'Copy' });
    const own = await addService(client, { port: shared.port, sshd });
    await addService(client, { port: shared.port, sshd, project: other.id });
    say(`Writing ${rows} rows`);
    await fill(shared, { own, other: other.id, rows });

    // First: afterwards there are the copy's rows, too.
    const piped = await byPgDump(shared, dir);
    const backup = await client.call('POST', '/api/backups/create', {
      type: 'full',
      encrypt: false,
      verify: false,
    });
    const backupSeconds = await ended(client, backup.data.backup_id, signal);
    const path = `/api/backups/${backup.data.backup_id}/restore`;
    const { data } = await client.call('POST', path, { target_project_id: other.id });
    const seconds = await ended(client, data.restoreJobId, signal);
    const { data: restored } = await client.call('GET', `/api/backups/restore-jobs/${data.restoreJobId}`);
    const steps = restored.audit_logs.map((one: { step_name: string; duration_ms: number }) => [
      one.step_name,
      one.duration_ms,
    ]);
    say(`\n${table(['step', 'ms'], steps)}\n`);
    await assertCopied(shared, own, other.id);
    say(
      `Backed up in ${backupSeconds.toFixed(1)} s, restored in ${seconds.toFixed(1)} s; pg_dump | pg_restore took ${piped.toFixed(1)} s`,
    );
    return [
      figure('rows', 'restore-seconds', seconds, piped),
      figure('rows', 'backup-and-restore-seconds', backupSeconds + seconds, piped),
      figure('rows', 'restored-rows-per-second', rows / seconds, rows / piped),
    ];
  },
};

/** On a server of its own; gives the project. */
async function addService(
  client: Client,
  { port, sshd, project }: { port: number; sshd: Awaited<ReturnType<typeof startSshd>>; project?: number },
): Promise<number> {
  const { data: server } = await client.call('POST', '/api/servers', {
    ...{ name: `server ${project ?? ''}`.trim(), kind: 'ssh', host: sshd.host, port: sshd.port },
    ...(project === undefined ? {} : { project_id: project }),
    username: sshd.username,
    auth: { type: 'private_key', private_key: sshd.privateKey },
    host_key_fingerprint: sshd.fingerprint,
  });
  const tables = TWELVE_TABLE_SETTINGS.tables.filter(({ name }) => TABLES.includes(name));
  await client.call('POST', `/api/servers/${server.id}/services`, {
    ...{ name: 'project', type: 'rows', component: 'user_data' },
    database: {
      ...{ host: '127.0.0.1', port, username: 'postgres', password: PASSWORD, databases: ['cloudbox'] },
      rows: { ...TWELVE_TABLE_SETTINGS, tables },
    },
  });
  return server.project_id;
}

/** One collection, and documents and files half each. */
async function fill(
  postgres: RunningPostgres,
  { own, other, rows }: { own: number; other: number; rows: number },
): Promise<void> {
  await postgres.sql('postgres', 'CREATE DATABASE cloudbox');
  await postgres.sql('cloudbox', TWELVE_TABLES);
  const documents = Math.floor(rows / 2);
  await postgres.sql(
    'cloudbox',
    `INSERT INTO projects (id, name) VALUES (${own}, 'own'), (${other}, 'other');
    INSERT INTO collections (project_id, name) SELECT ${own}, 'c' || n FROM generate_series(1, 100) n;
    INSERT INTO documents (collection_id, title, data, version, created_at)
      SELECT c.id, 'document ' || n, jsonb_build_object('n', n, 'text', repeat(md5(n::text), 4)), n, now()
      FROM generate_series(1, ${documents - 100}) n JOIN collections c ON c.name = 'c' || (1 + n % 100);
    INSERT INTO files (project_id, document_id, name, content, tags)
      SELECT ${own}, id, 'file of ' || title, decode(md5(title), 'hex'), ARRAY['a', 'b'] FROM documents;
    INSERT INTO files (project_id, name) SELECT ${own}, 'file ' || n FROM generate_series(1, ${rows - 2 * documents + 100}) n;
    ANALYZE;`,
  );
}

async function assertCopied(postgres: RunningPostgres, own: number, other: number): Promise<void> {
  const digest = (id: number): Promise<string> =>
    postgres.sql(
      'cloudbox',
      `SELECT count(*), sum(hashtext(concat(c.name, d.title, d.data, d.version, d.created_at, f.name, f.content, f.tags))::bigint)
      FROM files f LEFT JOIN documents d ON d.id = f.document_id LEFT JOIN collections c ON c.id = d.collection_id WHERE f.project_id = ${id}`,
    );
  const [from, to] = [await digest(own), await digest(other)];
  if (from !== to) throw new Error(`The copy is not what it was made of: ${from} and ${to}`);
}

/** The same rows, in the tables of another database, by Postgres' own tools in a pipe; gives the seconds. */
async function byPgDump({ port, sql }: RunningPostgres, dir: string): Promise<number> {
  await sql('postgres', 'CREATE DATABASE piped');
  const options = `-h 127.0.0.1 -p ${port} -U postgres`;
  const chosen = [...TABLES, 'projects'].map((name) => `-t ${name}`).join(' ');
  const began = performance.now();
  await run(
    'bash',
    [
      '-c',
      `set -o pipefail; pg_dump ${options} -Fc -Z0 ${chosen} cloudbox | pg_restore ${options} --exit-on-error -d piped`,
    ],
    {
      cwd: dir,
      env: { ...process.env, PGPASSWORD: PASSWORD },
    },
  );
  return (performance.now() - began) / 1000;
}

/** Seconds from the request to the job's end, with all that it waited for. */
async function ended(client: Client, jobId: string, signal: AbortSignal): Promise<number> {
  await untilEnded(client, jobId, signal);
  const { data } = await client.call('GET', `/api/jobs/${jobId}`);
  return (Date.parse(data.ended_at) - Date.parse(data.created_at)) / 1000;
}
