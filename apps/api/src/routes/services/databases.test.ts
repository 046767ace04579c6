import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { toServiceTarget } from '../../planner/targets.ts';
import { sshServer } from '../../testing/samples.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
let serverId: string;
let url: string;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
  const { data } = (await t.ask('POST', '/api/servers', { token: admin, body: sshServer() })).json();
  serverId = data.id;
  url = `/api/servers/${serverId}/services`;
});
afterAll(() => t.close());

const create = (change: object) =>
  t.ask('POST', url, {
    token: admin,
    body: { name: `db ${crypto.randomUUID()}`, type: 'postgres', component: 'database', ...change },
  });
const paths = (answer: { json(): { details?: { path: string }[] } }) =>
  (answer.json().details ?? []).map((one) => one.path);

test('a password is sealed, kept, moved only when it is given again, and taken away', async () => {
  const database = { host: 'db.example.org', port: 5432, username: 'backup', password: 'canary-1' };
  const answer = await create({ database });
  expect(answer.statusCode).toBe(201);
  const { id, database: shown } = answer.json().data;
  expect(shown).toEqual({
    ...{ host: 'db.example.org', port: 5432, username: 'backup', has_password: true, databases: null },
    ...{ schema_only: false, include_tables: [], exclude_tables: [], roles: true },
    ...{ path: null, run_as: null, bin_dir: null, rows: null },
  });
  const stored = await t.db.services.get(id);
  expect(JSON.stringify([answer.json(), stored])).not.toContain('canary');
  const patch = (body: object) => t.ask('PATCH', `${url}/${id}`, { token: admin, body });
  const { password: _password, ...place } = database;
  const same = await patch({ database: { ...place, databases: ['shop'] } });
  expect(same.json().data.database).toMatchObject({ has_password: true, databases: ['shop'] });
  expect((await patch({ backup_priority: 3 })).json().data.database).toMatchObject({ has_password: true });
  for (const moved of [{ host: 'evil.example.org' }, { port: 5433 }, { username: 'other' }]) {
    const refused = await patch({ database: { ...place, ...moved } });
    expect([refused.statusCode, refused.json().code]).toEqual([400, 'CREDENTIALS_REQUIRED']);
  }
  expect((await patch({ database: { ...place, port: 5433, password: 'canary-2' } })).statusCode).toBe(200);
  expect((await patch({ database: { ...place, password: null } })).json().data.database.has_password).toBe(
    false,
  );
});

test('when the server moves, a plan asks for the password again', async () => {
  const { id } = (await create({ database: { password: 'canary-3' } })).json().data;
  const [service, server] = [await t.db.services.get(id), await t.db.servers.get(serverId)];
  if (!service || !server) throw new Error('both were made');
  expect(toServiceTarget(service, server)).toMatchObject({
    type: 'postgres',
    database: { type: 'postgres', secrets: { v: 1 }, roles: true },
  });
  for (const moved of [{ host: 'elsewhere.example.org' }, { port: 2222 }, { pool: 'other' }]) {
    expect(() => toServiceTarget(service, { ...server, ...moved })).toThrow('give database.password again');
  }
});

test.each([
  ['paths', { data_paths: ['/srv/x'] }, ['body/data_paths/0']],
  ['a path of another engine', { database: { path: '/x.db' } }, ['body/database/path']],
  ['roles of another engine', { type: 'redis', database: { roles: true } }, ['body/database/roles']],
  ['no path', { type: 'sqlite' }, ['body/database/path']],
  [
    'a password of a file',
    { type: 'sqlite', database: { path: '/x.db', password: 'x' } },
    ['body/database/password'],
  ],
  ['a relative path', { type: 'sqlite', database: { path: 'x.db' } }, ['body/database/path']],
  [
    'patterns for mysql',
    { type: 'mysql', database: { include_tables: ['orders'] } },
    ['body/database/include_tables/0'],
  ],
  ['a host like an option', { database: { host: '-h' } }, ['body/database/host']],
  ['a line break in a password', { database: { password: 'a\nb' } }, ['body/database/password']],
  ['a database of files', { type: 'files', data_paths: ['/srv/x'], database: {} }, ['body/database']],
  ['rows of nothing', { type: 'rows' }, ['body/database/databases', 'body/database/rows']],
  ['rows of a whole database', { database: { rows: { tables: [{ name: 'a' }] } } }, ['body/database/rows']],
  [
    'rows of two databases, of a table that is there twice, by two ways and through one that is not',
    {
      type: 'rows',
      database: {
        databases: ['a', 'b'],
        rows: {
          tables: [
            { name: 'x', through: 'y_id', references: { y_id: 'y.id' } },
            { name: 'x', through: 'z', tenant_column: 'owner' },
          ],
        },
      },
    },
    [
      'body/database/databases',
      'body/database/rows/tables/0/through',
      'body/database/rows/tables/1/name',
      'body/database/rows/tables/1/through',
    ],
  ],
  [
    'a reference without a column',
    {
      type: 'rows',
      database: { databases: ['a'], rows: { tables: [{ name: 'x', references: { y_id: 'y' } }] } },
    },
    ['body/database/rows/tables/0/references/y_id'],
  ],
  ['two ways to run', { unit: 'postgresql.service', container: 'db' }, ['body/unit']],
  ['half of the commands', { stop: { command: ['x'] } }, ['body/status']],
  ['a hook that is no program', { hooks: { before: { command: ['./x'] } } }, ['body/hooks/before/command/0']],
])('%s is refused', async (_what, change, expected) => {
  const answer = await create(change);
  expect([answer.statusCode, paths(answer)]).toEqual([400, expected]);
});

test('rows are those of the server’s project unless something else is said, as a plan has them', async () => {
  const rows = {
    tables: [
      { name: 'collections', generated: ['slug'] },
      { name: 'documents', through: 'collection_id', references: { collection_id: 'collections.id' } },
    ],
  };
  const made = await create({ type: 'rows', database: { databases: ['cloudbox'], rows } });
  expect(made.json().data.database).toMatchObject({ rows, databases: ['cloudbox'] });
  const [service, server] = [await t.db.services.get(made.json().data.id), await t.db.servers.get(serverId)];
  if (!service || !server) throw new Error('both were made');
  expect(toServiceTarget(service, server).database).toMatchObject({
    ...{ type: 'rows', database: 'cloudbox' },
    rows: {
      tenant: String(server.projectId),
      tables: [
        {
          schema: 'public',
          name: 'collections',
          tenantColumn: 'project_id',
          through: null,
          generated: ['slug'],
        },
        {
          ...{ name: 'documents', tenantColumn: null, through: 'collection_id' },
          references: [{ column: 'collection_id', table: 'collections', target: 'id' }],
        },
      ],
    },
  });
});

test('hooks are for services of every type, and what runs a database may be a unit', async () => {
  const hooks = {
    before: { command: ['freeze'] },
    after: { command: ['sh', '-c', 'thaw'], timeout_seconds: 5 },
  };
  const files = await create({ type: 'files', data_paths: ['/srv/x'], hooks });
  expect(files.json().data).toMatchObject({ hooks, database: null });
  const run = await create({ type: 'redis', unit: 'redis.service', health_check: { type: 'unit' } });
  expect(run.json().data).toMatchObject({ unit: 'redis.service', database: { has_password: false } });
});
