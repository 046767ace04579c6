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
}, 60_000);

test('a pgbench database is backed up, verified deeply, and shown as what it is', async () => {
  const here = await createWorld('postgres');
  world = here;
  const server = await startPostgresServer({ password: PASSWORD });
  postgres = server;
  await server.sql('postgres', 'CREATE DATABASE bench');
  await server.tool('pgbench', ['-i', '-q', '-s', '1', 'bench']);
  const { client } = here;
  const serverId = await here.addServer('source');
  const connection = { host: '127.0.0.1', port: server.port, username: 'postgres' };
  const made = await client.must('POST', `/api/servers/${serverId}/services`, {
    ...{ name: 'bench', type: 'postgres', component: 'database' },
    database: { ...connection, password: PASSWORD, databases: ['bench'] },
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
  expect(here.logs()).not.toContain('canary');
  expect(JSON.stringify(await client.must('GET', `/api/jobs/${data.backup_id}`))).not.toContain('canary');
}, 60_000);
