import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { destinationAad } from '@tarfleet/vault';
import { v7 as uuidv7 } from 'uuid';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
});
afterAll(() => t.close());

const s3 = (config: object = {}) => ({
  name: `s3 ${crypto.randomUUID()}`,
  type: 's3',
  config: {
    bucket: 'backups',
    region: 'eu-central-1',
    endpoint: 'https://s3.example.com',
    force_path_style: true,
    access_key_id: 'AKIDEXAMPLE',
    secret_access_key: 'a very secret key',
    ...config,
  },
});
const local = (path = `/srv/backups-${crypto.randomUUID()}`) => ({
  name: `local ${crypto.randomUUID()}`,
  type: 'local',
  config: { path },
});
const create = (body: object) => t.ask('POST', '/api/destinations', { token: admin, body });
const made = async (body: object) => {
  const answer = await create(body);
  expect([answer.statusCode, answer.body]).toEqual([201, expect.any(String)]);
  return answer.json().data as { id: string };
};
const patch = (id: string, body: object) => t.ask('PATCH', `/api/destinations/${id}`, { token: admin, body });
const secretsOf = async (id: string) =>
  t.vault.box.open(destinationAad(id), (await t.db.destinations.get(id))!.secretCiphertext!);

test('an S3 destination keeps its credentials to itself', async () => {
  const answer = await create({ ...s3(), retention_days: 30 });
  expect(answer.statusCode).toBe(201);
  const { data } = answer.json();
  expect(data).toMatchObject({
    type: 's3',
    config: {
      bucket: 'backups',
      region: 'eu-central-1',
      endpoint: 'https://s3.example.com',
      force_path_style: true,
    },
    has_credentials: true,
    retention_days: 30,
    is_default: false,
  });
  expect(Object.keys(data.config)).toHaveLength(4);
  expect(await secretsOf(data.id)).toEqual({
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'a very secret key',
  });
  // What a worker's plan carries is in the contract's own form.
  const stored = (await t.db.destinations.get(data.id))!;
  expect(stored.config).toMatchObject({ forcePathStyle: true });
  expect(JSON.stringify(stored)).not.toMatch(/AKID|very secret/);
  const seen = await t.ask('GET', `/api/destinations/${data.id}`, { token: admin });
  const listed = await t.ask('GET', '/api/destinations', { token: admin });
  expect(answer.body + seen.body + listed.body).not.toMatch(/AKID|very secret/);
  expect(seen.json().data).toEqual(data);
});

test('destinations are for admins', async () => {
  const { id } = await made(local());
  const { token } = await t.as('operator', (await t.db.projects.ensureDefault()).id);
  for (const [method, url] of [
    ['GET', '/api/destinations'],
    ['POST', '/api/destinations'],
    ['GET', `/api/destinations/${id}`],
    ['PATCH', `/api/destinations/${id}`],
    ['DELETE', `/api/destinations/${id}`],
    ['POST', `/api/destinations/${id}/test`],
  ] as const) {
    const body = method === 'POST' || method === 'PATCH' ? { body: {} } : {};
    expect([method, url, (await t.ask(method, url, { token, ...body })).statusCode]).toEqual([
      method,
      url,
      403,
    ]);
  }
});

test('a new endpoint or bucket needs the credentials again', async () => {
  const { id } = await made(s3());
  for (const config of [{ endpoint: 'https://evil.example.com' }, { endpoint: null }, { bucket: 'other' }]) {
    const answer = await patch(id, { config });
    expect([config, answer.statusCode, answer.json().code]).toEqual([config, 400, 'CREDENTIALS_REQUIRED']);
  }
  const moved = await patch(id, {
    config: { endpoint: null, access_key_id: 'AKID2', secret_access_key: 'second' },
  });
  expect(moved.json().data.config.endpoint).toBeUndefined();
  expect(await secretsOf(id)).toEqual({ accessKeyId: 'AKID2', secretAccessKey: 'second' });
  // Anything else leaves them as they are.
  const renamed = await patch(id, { name: 'renamed', config: { region: 'us-east-1' }, retention_days: null });
  expect(renamed.json().data).toMatchObject({ name: 'renamed', has_credentials: true, retention_days: null });
  expect(await secretsOf(id)).toEqual({ accessKeyId: 'AKID2', secretAccessKey: 'second' });
});

test('one destination at most is the default', async () => {
  const first = await made({ ...local(), is_default: true });
  const second = await made({ ...local(), is_default: true });
  const isDefault = async ({ id }: { id: string }) =>
    (await t.ask('GET', `/api/destinations/${id}`, { token: admin })).json().data.is_default;
  expect([await isDefault(first), await isDefault(second)]).toEqual([false, true]);
  await patch(first.id, { is_default: true });
  expect([await isDefault(first), await isDefault(second)]).toEqual([true, false]);
});

test('what holds backups stays, and stays where it is', async () => {
  const { id } = await made(s3());
  const { id: projectId } = await t.db.projects.ensureDefault();
  const backupId = uuidv7();
  await t.db.backups.create({
    id: backupId,
    projectId,
    createdBy: null,
    scheduleId: null,
    name: null,
    description: null,
    type: 'full',
    encrypted: false,
    encryptionKeys: [],
    dialect: 'botserver',
    destinationId: id,
    keyPrefix: `backups/${backupId}`,
    compressed: true,
    compressionLevel: 6,
    deduplicated: false,
    verifyRequested: false,
    retentionDays: null,
    warnings: [],
    createdAt: new Date(),
    artifacts: [],
  });
  const gone = await t.ask('DELETE', `/api/destinations/${id}`, { token: admin });
  expect([gone.statusCode, gone.json().code]).toEqual([409, 'DESTINATION_IN_USE']);
  const secrets = { access_key_id: 'a', secret_access_key: 'b' };
  for (const config of [{ prefix: 'elsewhere' }, { bucket: 'other', ...secrets }]) {
    const answer = await patch(id, { config });
    expect([config, answer.statusCode]).toEqual([config, 409]);
  }
  expect((await patch(id, { config: { endpoint: 'https://new.example.com', ...secrets } })).statusCode).toBe(
    200,
  );

  await t.db.backups.change(backupId, { status: 'deleted', deletedAt: new Date() });
  expect((await patch(id, { config: { prefix: 'elsewhere' } })).statusCode).toBe(200);
  expect((await t.ask('DELETE', `/api/destinations/${id}`, { token: admin })).statusCode).toBe(200);
  expect((await t.ask('DELETE', `/api/destinations/${id}`, { token: admin })).statusCode).toBe(404);
});

test('a test is a job', async () => {
  const { id } = await made(s3());
  const answer = await t.ask('POST', `/api/destinations/${id}/test`, { token: admin });
  expect(answer.statusCode).toBe(202);
  const { id: jobId } = answer.json().data;
  expect(answer.headers.location).toBe(`/api/jobs/${jobId}`);
  const job = (await t.db.jobs.get(jobId))!;
  expect(job.kind).toBe('destination-test');
  expect(job.plan).not.toMatch(/AKID|very secret/);
});

test('settings are tried before they are stored, and stored nowhere but sealed in the plan', async () => {
  const stored = (await t.db.destinations.all()).length;
  const { name: _none, ...unnamed } = s3();
  for (const body of [s3(), unnamed]) {
    const answer = await t.ask('POST', '/api/destinations/test', { token: admin, body });
    expect([answer.statusCode, answer.body]).toEqual([202, expect.not.stringMatching(/AKID|very secret/)]);
    const job = (await t.db.jobs.get(answer.json().data.id))!;
    expect(job.kind).toBe('destination-test');
    expect(job.plan).toContain('"secrets"');
    expect(job.plan).not.toMatch(/AKID|very secret/);
  }
  expect(await t.db.destinations.all()).toHaveLength(stored);
  const wrong = { ...s3(), config: { ...s3().config, bucket: 'No' } };
  expect((await t.ask('POST', '/api/destinations/test', { token: admin, body: wrong })).statusCode).toBe(400);
  const { token } = await t.as('operator');
  expect((await t.ask('POST', '/api/destinations/test', { token, body: s3() })).statusCode).toBe(403);
});

test('the pool that tries settings can be named; else it is the one that makes the backups there', async () => {
  const poolOf = async (url: string, body: object) => {
    const answer = await t.ask('POST', url, { token: admin, body });
    return answer.statusCode === 202
      ? (await t.db.jobs.get(answer.json().data.id))!.pool
      : answer.json().code;
  };
  const { id } = await made(local('/srv/pools'));
  expect(await poolOf('/api/destinations/test', local())).toBe('default');
  expect(await poolOf('/api/destinations/test', { ...local(), pool: 'default' })).toBe('default');
  expect(await poolOf('/api/destinations/test', { ...local(), pool: 'nowhere' })).toBe('POOL_NOT_FOUND');
  expect(await poolOf('/api/destinations/test', { ...local(), pool: 'No Pool' })).toBe('VALIDATION_FAILED');
  expect(await poolOf(`/api/destinations/${id}/test`, { pool: 'nowhere' })).toBe('POOL_NOT_FOUND');
  expect(await poolOf(`/api/destinations/${id}/test`, { pool: 'far' })).toBe('far');
});

test('one that is switched off by the shared routes takes no new backups, and can be switched on', async () => {
  const { id } = await made({ ...local('/srv/off'), enabled: false });
  const shown = async () =>
    (await t.ask('GET', `/api/destinations/${id}`, { token: admin })).json().data.enabled;
  expect(await shown()).toBe(false);
  expect((await patch(id, { name: 'switched' })).json().data.enabled).toBe(false);
  expect((await patch(id, { enabled: true })).json().data.enabled).toBe(true);
  expect((await patch(id, { enabled: 'no' })).statusCode).toBe(400);
  expect((await made(local('/srv/on'))) as object).toMatchObject({ enabled: true });
});

test.each([
  [{ type: 'tape', name: 'x', config: {} }, 'body/type'],
  [{ ...local(), config: { path: 'relative' } }, 'body/config/path'],
  [{ ...local(), config: { path: '/a/../b' } }, 'body/config/path'],
  [{ ...local(), config: { path: '/' } }, 'body/config/path'],
  [{ ...local(), config: { path: '/x', bucket: 'y' } }, 'body/config/bucket'],
  [s3({ bucket: 'No' }), 'body/config/bucket'],
  [s3({ endpoint: 'ftp://x' }), 'body/config/endpoint'],
  [s3({ endpoint: 'https://user:pw@host' }), 'body/config/endpoint'],
  [s3({ prefix: '/x' }), 'body/config/prefix'],
  [s3({ prefix: 'a/../b' }), 'body/config/prefix'],
  [s3({ secret_access_key: undefined }), 'body/config/secret_access_key'],
  [s3({ acces_key_id: 'x' }), 'body/config/acces_key_id'],
  [{ ...s3(), retention_days: 0 }, 'body/retention_days'],
])('wrong settings are named by their path: %#', async (body, path) => {
  const answer = await create(body);
  expect(answer.statusCode).toBe(400);
  const paths = answer.json().details.map((fault: { path: string }) => fault.path);
  expect(paths).toContain(path);
  expect(answer.body).not.toMatch(/very secret|user:pw/);
});

test('a change cannot bring in what its type has no use for', async () => {
  const { id } = await made(local());
  const answer = await patch(id, { config: { bucket: 'abc', access_key_id: 'x', secret_access_key: 'y' } });
  expect(answer.statusCode).toBe(400);
  expect((await patch(id, { type: 's3' })).statusCode).toBe(400);
  expect((await patch(id, { config: { path: '/srv/other' } })).json().data.config).toEqual({
    path: '/srv/other',
  });
});

test('local destinations only where they are allowed', async () => {
  const own = await buildTestApp({ env: { LOCAL_ALLOWED: 'false' } });
  try {
    const { token } = await own.as('admin');
    const answer = await own.ask('POST', '/api/destinations', { token, body: local() });
    expect([answer.statusCode, answer.json().code]).toEqual([403, 'LOCAL_NOT_ALLOWED']);
  } finally {
    await own.close();
  }
});

test('two destinations do not share a folder, nor lies one inside the other’s', async () => {
  const { id } = await made({ ...local('/srv/shared/daily'), name: 'first here' });
  for (const path of ['/srv/shared/daily', '/srv/shared', '/srv/shared/daily/more']) {
    const answer = await create(local(path));
    expect([path, answer.statusCode, answer.json().code]).toEqual([path, 409, 'CONFLICT']);
    expect(answer.json().message).toContain('first here');
  }
  const { id: other } = await made(local('/srv/shared/daily2'));
  expect((await patch(other, { config: { path: '/srv/shared/daily/more' } })).statusCode).toBe(409);
  expect((await patch(id, { config: { path: '/srv/shared/daily/more' } })).statusCode).toBe(200);
});

test('a destination is not put where a service backs up, and no service backs one up', async () => {
  const project = await t.db.projects.ensureDefault();
  const body = { kind: 'local', name: 'own', project_id: project.id };
  const server = (await t.ask('POST', '/api/servers', { token: admin, body })).json().data;
  const services = `/api/servers/${server.id}/services`;
  const service = (path: string) => ({
    ...{ name: crypto.randomUUID(), type: 'files', component: 'files', data_paths: [path] },
  });
  const add = (path: string) => t.ask('POST', services, { token: admin, body: service(path) });
  const { id } = await made({ ...local('/srv/trial/self/daily'), name: 'daily' });
  for (const path of ['/srv/trial/self/daily', '/srv/trial/self/daily/project-1']) {
    const answer = await add(path);
    expect([path, answer.statusCode, answer.json().code]).toEqual([path, 409, 'CONFLICT']);
    expect(answer.json().message).toContain('the destination daily');
  }
  const around = await add('/srv/trial/self');
  expect(around.statusCode).toBe(201);
  const url = `${services}/${around.json().data.id}`;
  const changed = { token: admin, body: { data_paths: ['/srv/trial/self/daily'] } };
  expect((await t.ask('PATCH', url, changed)).statusCode).toBe(409);
  for (const path of ['/srv/trial/self', '/srv/trial']) {
    expect([path, (await create(local(path))).statusCode]).toEqual([path, 409]);
  }
  expect((await patch(id, { config: { path: '/srv/trial' } })).json().code).toBe('CONFLICT');
  expect((await patch(id, { config: { path: '/srv/trial/self/weekly' } })).statusCode).toBe(200);
});
