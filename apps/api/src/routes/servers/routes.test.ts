import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ServerSecrets } from '@tarfleet/contracts';
import { openSealedObject, serverSecretsInfo } from '@tarfleet/vault';
import { PRIVATE_KEY, sshServer } from '../../testing/samples.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
let operator: string;
let viewer: string;
let stranger: string;
let projectId: number;

beforeAll(async () => {
  t = await buildTestApp();
  projectId = (await t.db.projects.create({ name: 'alpha' })).id;
  const other = await t.db.projects.create({ name: 'beta' });
  admin = (await t.as('admin')).token;
  operator = (await t.as('operator', projectId)).token;
  viewer = (await t.as('viewer', projectId)).token;
  stranger = (await t.as('operator', other.id)).token;
});
afterAll(() => t.close());

const create = (token: string, change: object = {}) =>
  t.ask('POST', '/api/servers', { token, body: { ...sshServer(), project_id: projectId, ...change } });
const made = async (change: object = {}) => {
  const answer = await create(operator, change);
  expect([answer.statusCode, answer.body]).toEqual([201, expect.any(String)]);
  return answer.json().data as { id: string; test_job_id: string; [field: string]: unknown };
};
const patch = (id: string, body: object, token = operator) =>
  t.ask('PATCH', `/api/servers/${id}`, { token, body });
const open = async (id: string, pool: 'default' | 'far' = 'default') => {
  const { sealed, host, port } = (await t.db.servers.get(id))!;
  const info = serverSecretsInfo({ projectId, host: host!, port: port! });
  return openSealedObject(t.pools[pool].keys, info, sealed!, ServerSecrets);
};

test('an operator adds a server; its first test starts, its credentials are for the pool alone', async () => {
  const answer = await create(operator, {
    become: { method: 'sudo', password: 'sudo secret' },
    auth: { type: 'private_key', private_key: PRIVATE_KEY, passphrase: 'key secret' },
  });
  expect(answer.statusCode).toBe(201);
  const { data } = answer.json();
  expect(data).toMatchObject({
    project_id: projectId,
    kind: 'ssh',
    port: 22,
    auth_type: 'private_key',
    host_key_fingerprint: null,
    pool: 'default',
    become: { method: 'sudo' },
    jump: null,
    tools: null,
  });
  expect(answer.headers.location).toBe(`/api/servers/${data.id}`);
  expect(await open(data.id)).toEqual({
    auth: { type: 'private_key', private_key: PRIVATE_KEY, passphrase: 'key secret' },
    becomePassword: 'sudo secret',
  });
  const job = await t.db.jobs.get(data.test_job_id);
  expect(job).toMatchObject({ kind: 'server-test', projectId, requestId: answer.headers['x-request-id'] });

  const again = await t.ask('GET', `/api/servers/${data.id}`, { token: viewer });
  const { test_job_id: _job, test_error: _error, ...rest } = data;
  expect(again.json().data).toEqual(rest);
  for (const secret of ['PRIVATE KEY', 'sudo secret', 'key secret']) {
    expect(answer.body + again.body).not.toContain(secret);
  }
});

test('who may do what', async () => {
  const { id } = await made();
  const url = `/api/servers/${id}`;
  const tries: ['GET' | 'PATCH' | 'POST' | 'DELETE', string, object | undefined][] = [
    ['GET', url, undefined],
    ['PATCH', url, { name: 'renamed' }],
    ['POST', `${url}/test`, undefined],
    ['DELETE', url, undefined],
  ];
  const statuses = async (token: string) => {
    const found: number[] = [];
    for (const [method, path, body] of tries) {
      found.push((await t.ask(method, path, { token, ...(body ? { body } : {}) })).statusCode);
    }
    return found;
  };
  expect(await statuses(stranger)).toEqual([404, 404, 404, 404]);
  expect(await statuses(viewer)).toEqual([200, 403, 403, 403]);
  expect(await statuses(operator)).toEqual([200, 200, 202, 200]);
  expect(await statuses(operator)).toEqual([404, 404, 404, 404]);
  expect((await create(viewer)).statusCode).toBe(403);
  expect((await create(stranger)).statusCode).toBe(404);
  expect((await create(admin)).statusCode).toBe(201);
  expect((await create(admin, { project_id: 999_999 })).statusCode).toBe(404);
});

test('an id of another project and one of nothing are answered alike', async () => {
  const { id } = await made();
  const foreign = await t.ask('GET', `/api/servers/${id}`, { token: stranger });
  const nothing = await t.ask('GET', `/api/servers/${crypto.randomUUID()}`, { token: stranger });
  expect(foreign.body).toBe(nothing.body);
});

test('lists hold what one may see', async () => {
  const { id } = await made();
  const ids = async (token: string, query = '') => {
    const answer = await t.ask('GET', `/api/servers?per_page=100${query}`, { token });
    return answer.json().data.map((one: { id: string }) => one.id) as string[];
  };
  expect(await ids(viewer)).toContain(id);
  expect((await ids(viewer))[0]).toBe(id);
  expect(await ids(stranger)).toEqual([]);
  expect(await ids(stranger, `&project_id=${projectId}`)).toEqual([]);
  expect(await ids(admin, `&project_id=${projectId}`)).toContain(id);
  expect(await ids(admin, '&pool=far')).toEqual([]);
});

test('a new host, port or pool needs the credentials again, and is sealed anew', async () => {
  const { id } = await made({ host_key_fingerprint: `SHA256:${'a'.repeat(43)}` });
  for (const body of [{ host: 'db2.example.com' }, { port: 2222 }, { pool: 'far' }]) {
    const answer = await patch(id, body);
    expect([body, answer.statusCode, answer.json().code]).toEqual([body, 400, 'CREDENTIALS_REQUIRED']);
  }
  // The same values are no change.
  expect((await patch(id, { host: sshServer().host, port: 22 })).statusCode).toBe(200);

  const auth = { type: 'password', password: 'the new one' };
  const moved = await patch(id, { host: 'db2.example.com', pool: 'far', auth });
  expect(moved.json().data).toMatchObject({
    host: 'db2.example.com',
    pool: 'far',
    auth_type: 'password',
    // Of the old host: the next test pins the new one's.
    host_key_fingerprint: null,
  });
  expect(await open(id, 'far')).toEqual({ auth });
  const { sealed } = (await t.db.servers.get(id))!;
  const oldPlace = serverSecretsInfo({ projectId, host: sshServer().host, port: 22 });
  await expect(openSealedObject(t.pools.far.keys, oldPlace, sealed!, ServerSecrets)).rejects.toMatchObject({
    code: 'SEAL_INVALID',
  });
});

test('the sudo password is sealed together with the rest and never lost in silence', async () => {
  const { id } = await made({ become: { method: 'sudo', password: 'sudo secret' } });
  const auth = { type: 'password', password: 'pw' };
  expect((await patch(id, { auth })).json().code).toBe('CREDENTIALS_REQUIRED');
  expect((await patch(id, { become: { method: 'sudo', password: 'x' } })).json().code).toBe(
    'CREDENTIALS_REQUIRED',
  );
  expect((await patch(id, { auth, become: { method: 'sudo', password: 'new' } })).statusCode).toBe(200);
  expect(await open(id)).toEqual({ auth, becomePassword: 'new' });
  expect((await patch(id, { become: null })).json().data.become).toBeNull();
  expect((await patch(id, { auth })).statusCode).toBe(200);
});

test('changes at once leave credentials that belong to the place', async () => {
  const { id } = await made();
  const auth = { type: 'password', password: 'pw' };
  for (let round = 0; round < 8; round += 1) {
    const name = `n${round} ${crypto.randomUUID()}`;
    const changes = [
      { name },
      { host: `h${round}.example.com`, auth },
      { username: 'root' },
      { port: 2200 + round, auth },
    ];
    const answers = await Promise.all(changes.map((change) => patch(id, change)));
    expect(answers.map((answer) => answer.statusCode)).toEqual([200, 200, 200, 200]);
    expect(await open(id)).toEqual({ auth });
    expect((await t.db.servers.get(id))!).toMatchObject({
      name,
      host: `h${round}.example.com`,
      port: 2200 + round,
    });
  }
});

test('other fields change without credentials', async () => {
  const { id } = await made();
  const before = await open(id);
  const fingerprint = `SHA256:${'b'.repeat(43)}`;
  const changed = await patch(id, { name: 'other', username: 'root', host_key_fingerprint: fingerprint });
  expect(changed.json().data).toMatchObject({
    name: 'other',
    username: 'root',
    host_key_fingerprint: fingerprint,
  });
  expect((await patch(id, { host_key_fingerprint: null })).json().data.host_key_fingerprint).toBeNull();
  expect(await open(id)).toEqual(before);
  expect((await patch(id, { project_id: 1 })).json().details[0]).toEqual({
    path: 'body/project_id',
    message: 'is not a known field',
  });
});

test('an unknown pool is named as such', async () => {
  const answer = await create(operator, { pool: 'nowhere' });
  expect([answer.statusCode, answer.json().code]).toEqual([404, 'POOL_NOT_FOUND']);
  const { id } = await made();
  const auth = { type: 'password', password: 'pw' };
  expect((await patch(id, { pool: 'nowhere', auth })).json().code).toBe('POOL_NOT_FOUND');
});

test('a jump host is an ssh server of the same project and pool, without a jump of its own', async () => {
  const jump = await made({ name: 'gate' });
  const behind = await made({ name: 'behind', jump: jump.id });
  expect(behind.jump).toBe(jump.id);
  // Its test would show the credentials to a host in between that nobody has looked at yet.
  expect([behind.test_job_id, behind.test_error]).toEqual([null, expect.stringContaining('gate')]);
  const far = await made({ name: 'far gate', pool: 'far' });
  const foreign = (
    await t.ask('POST', '/api/servers', { token: admin, body: { ...sshServer(), name: 'foreign' } })
  ).json().data;
  const local = (
    await t.ask('POST', '/api/servers', {
      token: admin,
      body: { kind: 'local', name: 'local gate', project_id: projectId },
    })
  ).json().data;
  for (const id of [behind.id, far.id, foreign.id, local.id, crypto.randomUUID()]) {
    const answer = await create(operator, { jump: id });
    expect([answer.statusCode, answer.json().details?.[0].path]).toEqual([400, 'body/jump']);
  }
  expect((await patch(jump.id, { jump: jump.id })).statusCode).toBe(400);
  const third = await made({ name: 'third' });
  const used = await patch(jump.id, { jump: third.id });
  expect([used.statusCode, used.json().code]).toEqual([409, 'CONFLICT']);
  const auth = { type: 'password', password: 'pw' };
  expect((await patch(jump.id, { pool: 'far', auth })).statusCode).toBe(409);
  expect((await patch(behind.id, { pool: 'far', auth })).json().details[0].path).toBe('body/jump');
  expect((await t.ask('DELETE', `/api/servers/${jump.id}`, { token: operator })).statusCode).toBe(409);
  expect((await patch(behind.id, { jump: null })).json().data.jump).toBeNull();
  expect((await t.ask('DELETE', `/api/servers/${jump.id}`, { token: operator })).statusCode).toBe(200);
});

test('local servers are for admins, where they are allowed', async () => {
  const body = { kind: 'local', name: 'this host', project_id: projectId };
  const refused = await t.ask('POST', '/api/servers', { token: operator, body });
  expect([refused.statusCode, refused.json().code]).toEqual([403, 'INSUFFICIENT_PERMISSIONS']);
  const answer = await t.ask('POST', '/api/servers', { token: admin, body });
  expect(answer.json().data).toMatchObject({
    kind: 'local',
    host: null,
    auth_type: 'none',
    test_job_id: null,
  });
  const { id } = answer.json().data;
  const url = `/api/servers/${id}`;
  expect((await t.ask('GET', url, { token: viewer })).statusCode).toBe(200);
  expect((await patch(id, { name: 'mine' })).statusCode).toBe(403);
  expect((await t.ask('POST', `${url}/test`, { token: operator })).statusCode).toBe(403);
  expect((await t.ask('DELETE', url, { token: operator })).statusCode).toBe(403);
  const foreignFields = await patch(id, { host: 'x', port: 1, name: 'y' }, admin);
  const paths = foreignFields.json().details.map((fault: { path: string }) => fault.path);
  expect(paths).toEqual(['body/host', 'body/port']);
  expect((await t.ask('POST', `${url}/reseal`, { token: admin })).json().code).toBe('NOT_SUPPORTED');
  const ssh = await t.ask('POST', '/api/servers', { token: admin, body: { ...body, name: 'z', host: 'x' } });
  expect(ssh.json().details).toEqual([{ path: 'body/host', message: 'is not a known field' }]);

  const own = await buildTestApp({ env: { LOCAL_ALLOWED: 'false' } });
  try {
    const boss = (await own.as('admin')).token;
    const off = await own.ask('POST', '/api/servers', { token: boss, body: { kind: 'local', name: 'x' } });
    expect([off.statusCode, off.json().code]).toEqual([403, 'LOCAL_NOT_ALLOWED']);
  } finally {
    await own.close();
  }
});

test('without a project the default one is meant', async () => {
  const answer = await t.ask('POST', '/api/servers', { token: admin, body: sshServer() });
  expect(answer.json().data.project_id).toBe((await t.db.projects.ensureDefault()).id);
});

test('names are taken within a project only', async () => {
  await made({ name: 'same' });
  const taken = await create(operator, { name: 'same' });
  expect([taken.statusCode, taken.json().code]).toEqual([409, 'CONFLICT']);
  expect(
    (await t.ask('POST', '/api/servers', { token: admin, body: { ...sshServer(), name: 'same' } }))
      .statusCode,
  ).toBe(201);
});

test('a test and a re-seal are jobs', async () => {
  const { id } = await made();
  const tested = await t.ask('POST', `/api/servers/${id}/test`, { token: operator });
  expect(tested.statusCode).toBe(202);
  const { id: jobId } = tested.json().data;
  expect(tested.headers.location).toBe(`/api/jobs/${jobId}`);
  expect(await t.db.jobs.get(jobId)).toMatchObject({ kind: 'server-test', pool: 'default' });
  expect((await t.ask('POST', `/api/servers/${id}/reseal`, { token: operator })).statusCode).toBe(403);
  const resealed = await t.ask('POST', `/api/servers/${id}/reseal`, { token: admin });
  expect(await t.db.jobs.get(resealed.json().data.id)).toMatchObject({ kind: 'reseal' });
});

test.each([
  ['host', { host: '-oProxyCommand=x' }],
  ['host', { host: 'a b' }],
  ['port', { port: 0 }],
  ['port', { port: '22' }],
  ['username', { username: '-l root' }],
  ['name', { name: ' x' }],
  ['name', { name: '' }],
  ['name', { name: 'two\nlines' }],
  ['host_key_fingerprint', { host_key_fingerprint: 'MD5:aa:bb' }],
  ['auth/private_key', { auth: { type: 'private_key', private_key: 'not a key' } }],
  ['auth/type', { auth: { type: 'none' } }],
  ['auth', { auth: 'password' }],
  ['become/method', { become: { method: 'su' } }],
  ['jump', { jump: 'gate' }],
  ['pool', { pool: 'Not A Pool' }],
])('a wrong %s is named: %j', async (field, change) => {
  const answer = await create(operator, change);
  expect(answer.statusCode).toBe(400);
  const paths = answer.json().details.map((fault: { path: string }) => fault.path);
  expect(paths).toContain(`body/${field}`);
});
