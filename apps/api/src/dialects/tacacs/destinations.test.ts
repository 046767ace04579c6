import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ResultOf } from '@tarfleet/contracts';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld();
});
afterAll(() => world.close());

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
const ROOT = '/api/admin/backup/destinations';
const ask = (method: Method, url: string, body?: object, headers = {}) =>
  world.t.ask(method, url, { token: world.token, headers, ...(body ? { body } : {}) });

const WORKS: ResultOf<'destination-test'> = {
  ...{ kind: 'destination-test', reachable: true, writable: true, latencyMs: 3, failure: null },
};
/** As a worker finds it, for the request that waits for that. */
async function found<T>(waiting: Promise<T>, result = WORKS): Promise<T> {
  const job = await world.running('destination-test');
  await world.end(job, { result });
  return waiting;
}
const count = async (): Promise<number> => (await world.t.db.destinations.all()).length;
const local = (name: string, more = {}) => ({
  ...{ name, type: 'local', retention_days: 30 },
  config: { base_path: name === 'local_daily' ? '/backups/tacacs' : `/backups/${name}` },
  ...more,
});

test('the document’s destination is tried and then saved', async () => {
  const answer = await found(ask('POST', ROOT, local('local_daily')));
  expect(answer.statusCode).toBe(201);
  const { data, message } = answer.json();
  expect(message).toBe('Connection tested, destination created');
  expect(data).toMatchObject({
    ...{ name: 'local_daily', type: 'local', config: { base_path: '/backups/tacacs' }, retention_days: 30 },
    ...{ enabled: true, is_default: false, has_credentials: false, status: 'ok', status_message: null },
  });
  expect((await world.t.db.destinations.get(data.id))?.config).toEqual({ path: '/backups/tacacs' });
  expect((await ask('GET', `${ROOT}/${data.id}`)).json().data).toEqual(data);
  const { destinations, pagination } = (await ask('GET', `${ROOT}?per_page=1`)).json().data;
  expect([destinations, pagination]).toEqual([[data], { page: 1, per_page: 1, total: 2, total_pages: 2 }]);
});

test('what fails is told, and nothing is saved', async () => {
  const before = await count();
  const refused = { code: 'DESTINATION_READ_ONLY', message: 'Permission denied.', retryable: false } as const;
  const answer = await found(ask('POST', ROOT, local('closed')), {
    ...{ ...WORKS, writable: false, failure: refused },
  });
  expect([answer.statusCode, answer.json().code]).toEqual([502, 'DESTINATION_READ_ONLY']);
  expect(answer.json().message).toContain('nothing was saved: Permission denied.');
  expect(answer.json().details).toMatchObject({ reachable: true, writable: false });
  expect(await count()).toBe(before);
  const { data } = (await ask('POST', ROOT, local('closed', { test_connection: false }))).json();
  expect(data).toMatchObject({ status: 'unknown', status_checked_at: null });
});

test('bad input is named by its path, whatever the type', async () => {
  const faults = async (body: object) => {
    const answer = await ask('POST', ROOT, body);
    expect(answer.statusCode).toBe(400);
    return answer.json().details.map(({ path }: { path: string }) => path);
  };
  expect(await faults(local('a', { config: {} }))).toEqual(['body/config/base_path']);
  for (const relative of ['relative', '/a/../b']) {
    expect(await faults(local('a', { config: { base_path: relative } }))).toEqual(['body/config/base_path']);
    expect(await faults(local('a', { config: { path: relative } }))).toEqual(['body/config/path']);
  }
  expect(await faults(local('a', { config: { base_path: '/a', path: '/b' } }))).toEqual(['body/config/path']);
  expect(await faults(local('a', { config: { base_path: '/a', bucket: 'b' } }))).toEqual([
    'body/config/bucket',
  ]);
  expect(await faults({ name: 'a', type: 'tape', config: {} })).toEqual(['body/type']);
  expect(await faults(local('a', { retention_days: 0 }))).toEqual(['body/retention_days']);
  const sftp = {
    host: 'nas',
    username: 'u',
    base_path: 'relative',
    host_key_fingerprint: 'x',
    password: 'p',
  };
  expect(await faults({ name: 'a', type: 'sftp', config: sftp })).toEqual([
    ...['body/config/base_path', 'body/config/host_key_fingerprint'],
  ]);
  const taken = await ask('POST', ROOT, local('main'));
  expect([taken.statusCode, taken.json().code]).toEqual([409, 'CONFLICT']);
});

test('another config is tried before it counts; other fields are not', async () => {
  const id = (await ask('POST', ROOT, local('moves', { test_connection: false }))).json().data.id;
  const plain = await ask('PUT', `${ROOT}/${id}`, { name: 'moved', retention_days: 5, enabled: false });
  expect(plain.json().data).toMatchObject({ name: 'moved', retention_days: 5, enabled: false });
  const moved = { config: { base_path: '/elsewhere' }, enabled: true };
  const failure = { code: 'DESTINATION_NOT_FOUND', message: 'No such folder.', retryable: false } as const;
  const refused = await found(ask('PUT', `${ROOT}/${id}`, moved), {
    ...{ ...WORKS, reachable: false, writable: false, failure },
  });
  expect([refused.statusCode, refused.json().code]).toEqual([502, 'DESTINATION_NOT_FOUND']);
  expect((await world.t.db.destinations.get(id))?.config).toEqual({ path: '/backups/moves' });
  const answer = await found(ask('PUT', `${ROOT}/${id}`, moved));
  expect(answer.json()).toMatchObject({
    data: { config: { base_path: '/elsewhere' }, enabled: true, status: 'ok' },
    message: 'Connection tested, destination updated',
  });
  // Somebody else changes it while it is tried.
  const waiting = ask('PUT', `${ROOT}/${id}`, { config: { base_path: '/third' } });
  await world.running('destination-test');
  await world.t.db.destinations.update(id, { config: { path: '/fourth' } });
  expect((await found(waiting)).json().code).toBe('CONFLICT');
  const other = await ask('PUT', `${ROOT}/${id}`, { type: 's3' });
  expect(other.json().details[0].path).toBe('body/type');
});

test('a test of one that is saved is a job, and its outcome is remembered', async () => {
  const id = (await ask('POST', ROOT, local('tested', { test_connection: false }))).json().data.id;
  const waiting = ask('POST', `${ROOT}/${id}/test`, {}, { prefer: 'wait=30' });
  const failure = { code: 'DESTINATION_UNREACHABLE', message: 'Nobody there.', retryable: false } as const;
  const answer = await found(waiting, { ...WORKS, reachable: false, writable: false, failure });
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toMatchObject({
    data: { reachable: false, writable: false, error: { code: 'DESTINATION_UNREACHABLE' } },
    message: 'Connection test failed',
  });
  const shown = async () => (await ask('GET', `${ROOT}/${id}`)).json().data;
  expect(await shown()).toMatchObject({ status: 'failed', status_message: 'Nobody there.' });
  const started = await ask('POST', `${ROOT}/${id}/test`);
  expect([started.statusCode, started.json().data.reachable]).toEqual([202, null]);
  await found(Promise.resolve());
  expect(await shown()).toMatchObject({ status: 'ok', status_message: null });
  // What was found out about one place says nothing of another.
  await world.t.db.destinations.update(id, { config: { path: '/new' } });
  expect(await shown()).toMatchObject({ status: 'unknown' });
});

test('one that holds backups is not deleted, one that is switched off gets none', async () => {
  await world.backedUp();
  const held = await ask('DELETE', `${ROOT}/${world.destinationId}`);
  expect([held.statusCode, held.json().code]).toEqual([409, 'DESTINATION_IN_USE']);
  const id = (await ask('POST', ROOT, local('off', { test_connection: false, enabled: false }))).json().data
    .id;
  const off = await ask('POST', '/api/admin/backup/trigger', { destination_id: id });
  expect([off.statusCode, off.json().message]).toEqual([409, expect.stringContaining('switched off')]);
  expect((await ask('DELETE', `${ROOT}/${id}`)).statusCode).toBe(200);
  expect((await ask('GET', `${ROOT}/${id}`)).statusCode).toBe(404);
});

test('all of it is for administrators, by session, cookie and either token header', async () => {
  const routes: [Method, string][] = [
    ...(
      [
        ['GET', ''],
        ['POST', ''],
        ['GET', '/x'],
        ['PUT', '/x'],
        ['DELETE', '/x'],
        ['POST', '/x/test'],
      ] as const
    ).map(([method, path]): [Method, string] => [method, ROOT + path.replace('x', world.destinationId)]),
  ];
  const { token: operator } = await world.t.as('operator');
  for (const [method, url] of routes) {
    expect((await world.t.ask(method, url)).statusCode).toBe(401);
    expect((await world.t.ask(method, url, { token: operator, body: {} })).statusCode).toBe(403);
  }
  const made = await ask('POST', '/api/auth/tokens', { name: 'ci' });
  const secret: string = made.json().data.token;
  const ways = [
    { authorization: `Bearer ${secret}` },
    { 'x-api-token': secret },
    { cookie: `tarfleet_session=${world.token}` },
  ];
  for (const headers of ways) {
    expect((await world.t.ask('GET', ROOT, { headers })).statusCode).toBe(200);
  }
});
