// The rows of one project out of a shared database through the whole system: backed up over ssh, lost, put back, and
// copied into another project, as the requests of the projects' document say it.
import { afterEach, expect, test } from '@jest/globals';
import {
  fillProject,
  type RunningPostgres,
  startPostgresServer,
  TWELVE_TABLE_SETTINGS,
  TWELVE_TABLES,
} from '@tarfleet/testbed';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const PASSWORD = "rows-canary:9f3\\b'7";

let world: World | undefined;
let postgres: RunningPostgres | undefined;
afterEach(async () => {
  await world?.close();
  await postgres?.stop();
  world = undefined;
}, 120_000);

test('a project’s rows are backed up, put back after a loss, and copied into another project', async () => {
  const here = await createWorld('postgres');
  world = here;
  const server = await startPostgresServer({ password: PASSWORD });
  postgres = server;
  const { client, sshd } = here;
  const sql = (statements: string): Promise<string> => server.sql('cloudbox', statements);
  await server.sql('postgres', 'CREATE DATABASE cloudbox');
  await sql(TWELVE_TABLES);
  const serverId = await here.addServer('source');
  const { data: added } = await client.must('GET', `/api/servers/${serverId}`);
  const own: number = added.project_id;
  const { data: other } = await client.must('POST', '/api/projects', { name: 'Copy' });
  const third = Math.max(own, other.id) + 1;
  for (const id of [own, third]) await sql(fillProject(id, 30));
  await sql(`INSERT INTO projects (id, name) VALUES (${other.id}, 'Copy')`);

  const connection = { host: '127.0.0.1', port: server.port, username: 'postgres' };
  const service = {
    ...{ name: 'project', type: 'rows', component: 'user_data' },
    database: { ...connection, password: PASSWORD, databases: ['cloudbox'], rows: TWELVE_TABLE_SETTINGS },
  };
  const incomplete = { ...service, database: { ...connection, rows: { tables: [{ name: 'a.b' }] } } };
  const services = `/api/servers/${serverId}/services`;
  expect((await client.request('POST', services, incomplete)).status).toBe(400);
  const made = await client.must('POST', services, service);
  expect(made.data.database).toMatchObject({ has_password: true, rows: TWELVE_TABLE_SETTINGS });

  const { data } = await client.must(
    'POST',
    '/api/backups/create',
    { type: 'full', services: ['project'] },
    WAIT,
  );
  expect(data.status).toBe('completed');
  const { data: details } = await client.must('GET', `/api/backups/${data.backup_id}`);
  const tables = TWELVE_TABLE_SETTINGS.tables.map(({ name }) => name);
  const all = (where: string): Promise<string> =>
    sql(
      tables
        .filter((name) => name !== 'documents' && name !== 'function_domains')
        .map((name) => `SELECT '${name}', t::text FROM ${name} t WHERE ${where}`)
        .concat(
          `SELECT 'documents', d::text FROM documents d JOIN collections c ON c.id = d.collection_id WHERE c.${where}`,
        )
        .join(' UNION ALL ')
        .concat(' ORDER BY 1, 2'),
    );
  const before = await all(`project_id = ${own}`);
  const counted = await sql(tables.map((name) => `SELECT count(*) FROM ${name}`).join(' UNION ALL '));
  const half =
    counted
      .trim()
      .split('\n')
      .reduce((sum, count) => sum + Number(count), 0) / 2;
  expect(JSON.stringify(details)).toContain(
    `"tables_count":12,"records_count":${half},"backup_method":"psql_copy"`,
  );
  const strangers = await all(`project_id = ${third}`);

  // Restored as the document asks for it, with nothing but an empty object.
  await sql(`DELETE FROM audit_logs WHERE project_id = ${own}; UPDATE functions SET code = 'lost' WHERE project_id = ${own};
    INSERT INTO collections (project_id, name) VALUES (${own}, 'after the backup')`);
  const after = await all(`project_id = ${own}`);
  const restore = `/api/backups/${data.backup_id}/restore`;
  const restored = await client.must('POST', restore, {}, WAIT);
  expect(restored).toMatchObject({
    message: 'Backup restore completed successfully',
    target_project_id: own,
  });
  expect(await all(`project_id = ${own}`)).toBe(before);
  const { restoreJobId } = restored.data;
  await client.must('POST', `/api/backups/restore-jobs/${restoreJobId}/rollback`, {}, WAIT);
  expect(await all(`project_id = ${own}`)).toBe(after);

  // Another project: its own server, its own service of the same tables.
  const elsewhere = { target_project_id: other.id };
  const early = await client.request('POST', restore, elsewhere, WAIT);
  expect(early).toMatchObject({ status: 400, body: { code: 'VALIDATION_FAILED' } });
  const { data: second } = await client.must('POST', '/api/servers', {
    ...{
      name: 'copy',
      project_id: other.id,
      kind: 'ssh',
      host: sshd.host,
      port: sshd.port,
      username: sshd.username,
    },
    auth: { type: 'private_key', private_key: sshd.privateKey },
    host_key_fingerprint: sshd.fingerprint,
  });
  await client.must('POST', `/api/servers/${second.id}/services`, service);
  // A look tells what differs, and changes nothing.
  const look = () => client.must('POST', restore, { ...elsewhere, validateOnly: true }, WAIT);
  await sql('ALTER TABLE functions ALTER code TYPE varchar');
  const { data: refused } = await look();
  expect(refused).toMatchObject({ status: 'invalid', preview: { problems: [{ code: 'CONFLICT' }] } });
  expect(JSON.stringify(refused)).toContain('functions.code is character varying, and was text');
  await sql('ALTER TABLE functions ALTER code TYPE text');
  expect((await look()).data).toMatchObject({ status: 'validated', preview: { problems: [] } });
  const copied = await client.must('POST', restore, elsewhere, WAIT);
  expect(copied).toMatchObject({
    message: 'Backup restore completed successfully',
    target_project_id: other.id,
  });
  const shape = (id: number): Promise<string> =>
    sql(`SELECT c.name, d.title, p.title, d.data, f.name, l.big FROM collections c JOIN documents d ON d.collection_id = c.id
      LEFT JOIN documents p ON p.id = d.parent_id JOIN files f ON f.document_id = d.id JOIN audit_logs l ON l.document_id = d.id
      WHERE c.project_id = ${id} AND f.project_id = ${id} AND l.project_id = ${id} ORDER BY d.title`);
  await client.must('POST', restore, {}, WAIT);
  expect(await shape(other.id)).toBe(await shape(own));
  expect((await shape(own)).split('\n').length).toBeGreaterThan(20);
  expect(await all(`project_id = ${third}`)).toBe(strangers);
  const twice = await client.request('POST', restore, elsewhere, WAIT);
  expect(twice.body).toMatchObject({
    code: 'RESTORE_FAILED',
    message: expect.stringContaining('drop_existing'),
  });
  expect(here.logs()).not.toContain('canary');
}, 120_000);
