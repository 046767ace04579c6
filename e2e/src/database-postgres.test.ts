// A postgres database through the whole system: backed up over ssh, verified, restored, and compared row by row.
import { afterEach, expect, test } from '@jest/globals';
import { type RunningPostgres, startPostgresServer } from '@tarfleet/testbed';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const PASSWORD = "pg-canary:9f3\\b'7";

let world: World | undefined;
let postgres: RunningPostgres | undefined;
afterEach(async () => {
  await world?.close();
  await postgres?.stop();
  world = undefined;
}, 120_000);

test('a pgbench database is backed up, verified deeply, shown as what it is, replaced, and put back', async () => {
  const here = await createWorld('postgres');
  world = here;
  const server = await startPostgresServer({ password: PASSWORD });
  postgres = server;
  // In the archive a name like this must not come before what a restore has to know first.
  await server.sql('postgres', 'CREATE DATABASE "Accounts"');
  await server.sql('postgres', 'CREATE DATABASE bench');
  await server.tool('pgbench', ['-i', '-q', '-s', '1', 'bench']);
  const { client } = here;
  const serverId = await here.addServer('source');
  const connection = { host: '127.0.0.1', port: server.port, username: 'postgres' };
  const made = await client.must('POST', `/api/servers/${serverId}/services`, {
    ...{ name: 'bench', type: 'postgres', component: 'database' },
    database: { ...connection, password: PASSWORD, databases: ['bench', 'Accounts'] },
  });
  expect(made.data).toMatchObject({
    type: 'postgres',
    database: { ...connection, has_password: true, roles: true },
  });
  const path = `/api/servers/${serverId}/services/${made.data.id}`;
  expect(JSON.stringify(await client.must('GET', path))).not.toContain('canary');
  const moved = await client.request('PATCH', path, { database: { ...connection, host: 'localhost' } });
  expect(moved).toMatchObject({ status: 400, body: { code: 'CREDENTIALS_REQUIRED' } });

  const { data } = await client.must(
    'POST',
    '/api/backups/create',
    { type: 'incremental', encrypt: true },
    WAIT,
  );
  expect(data.status).toBe('completed');
  const { data: details } = await client.must('GET', `/api/backups/${data.backup_id}`);
  expect(details.type).toBe('full');
  expect(details.warnings.join(' ')).toContain('everything is read');
  expect(details.components.database).toEqual({
    ...{ tables_count: 4, records_count: 100_011, backup_method: 'pg_dump' },
    size_bytes: expect.any(Number),
  });
  const { data: verified } = await client.must(
    'POST',
    `/api/backups/verify/${data.backup_id}`,
    { test_restore: true },
    WAIT,
  );
  expect(verified.verification_status).toBe('passed');

  // A row tells the database before the restore from the one after it.
  const rows = async (): Promise<string> =>
    server.sql('bench', 'SELECT * FROM pgbench_accounts ORDER BY aid');
  const before = await rows();
  await server.sql('bench', "UPDATE pgbench_accounts SET filler = 'after the backup' WHERE aid = 1");
  const after = await rows();
  const restore = `/api/backups/${data.backup_id}/restore`;
  const refused = await client.request('POST', restore, { restoreType: 'full' }, WAIT);
  expect(refused.body).toMatchObject({
    code: 'RESTORE_FAILED',
    message: expect.stringContaining('drop_existing'),
  });
  expect(await rows()).toBe(after);
  const preview = await client.must('GET', `/api/backups/${data.backup_id}/restore-preview`, undefined, WAIT);
  expect(JSON.stringify(preview)).toContain('drop_existing');
  const body = { restoreType: 'full', database: { dropExisting: true } };
  const restored = await client.must('POST', restore, body, WAIT);
  expect(restored.data).toMatchObject({ status: 'completed', servicesRestored: ['bench'] });
  expect(await rows()).toBe(before);
  const { restoreJobId } = restored.data;
  const { data: job } = await client.must('GET', `/api/backups/restore-jobs/${restoreJobId}`);
  expect(JSON.stringify(job)).toContain('bench_tarfleet_old_');
  await client.must('POST', `/api/backups/restore-jobs/${restoreJobId}/rollback`, {}, WAIT);
  expect(await rows()).toBe(after);
  expect(
    await server.sql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE '%tarfleet%'"),
  ).toBe('0\n');

  expect(here.logs()).not.toContain('canary');
  expect(JSON.stringify(await client.must('GET', `/api/jobs/${data.backup_id}`))).not.toContain('canary');
}, 120_000);
