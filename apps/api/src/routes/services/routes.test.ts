import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sshServer } from '../../testing/samples.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let operator: string;
let viewer: string;
let stranger: string;
let admin: string;
let url: string;
let projectId: number;

beforeAll(async () => {
  t = await buildTestApp();
  projectId = (await t.db.projects.create({ name: 'alpha' })).id;
  const other = (await t.db.projects.create({ name: 'beta' })).id;
  admin = (await t.as('admin')).token;
  operator = (await t.as('operator', projectId)).token;
  viewer = (await t.as('viewer', projectId)).token;
  stranger = (await t.as('operator', other)).token;
  url = await serverUrl();
});
afterAll(() => t.close());

async function serverUrl(): Promise<string> {
  const body = { ...sshServer(), project_id: projectId };
  const answer = await t.ask('POST', '/api/servers', { token: operator, body });
  return `/api/servers/${answer.json().data.id}/services`;
}
const sample = (change: object = {}) => ({
  name: `service ${crypto.randomUUID()}`,
  type: 'files',
  component: 'files',
  config_paths: ['/etc/app'],
  data_paths: ['/var/lib/app'],
  ...change,
});
const create = (change: object = {}, token = operator, at = url) =>
  t.ask('POST', at, { token, body: sample(change) });
const made = async (change: object = {}, at = url) => {
  const answer = await create(change, operator, at);
  expect([answer.statusCode, answer.body]).toEqual([201, expect.any(String)]);
  return answer.json().data as { id: string; name: string; depends_on: string[] };
};
const paths = (answer: { json(): { details: { path: string }[] } }) =>
  answer.json().details.map((one) => one.path);

test('a service is made, seen, changed and deleted', async () => {
  const answer = await create({ name: 'web', exclude: ['*.log'], backup_priority: 5 });
  expect(answer.statusCode).toBe(201);
  const { data } = answer.json();
  expect(data).toMatchObject({
    name: 'web',
    type: 'files',
    component: 'files',
    config_paths: ['/etc/app'],
    data_paths: ['/var/lib/app'],
    exclude: ['*.log'],
    backup_priority: 5,
    depends_on: [],
    stop: null,
    database: null,
  });
  const one = String(answer.headers.location);
  expect(one).toBe(`${url}/${data.id}`);
  expect((await t.ask('GET', one, { token: viewer })).json().data).toEqual(data);
  const changed = await t.ask('PATCH', one, {
    token: operator,
    body: { data_paths: ['/srv/app'], exclude: [] },
  });
  expect(changed.json().data).toMatchObject({
    data_paths: ['/srv/app'],
    exclude: [],
    config_paths: ['/etc/app'],
  });
  const list = await t.ask('GET', url, { token: viewer });
  expect(list.json().data.map((entry: { id: string }) => entry.id)).toEqual([data.id]);
  expect((await t.ask('DELETE', one, { token: operator })).statusCode).toBe(200);
  expect((await t.ask('GET', one, { token: operator })).statusCode).toBe(404);
});

test('who may do what', async () => {
  const { id } = await made();
  const one = `${url}/${id}`;
  const statuses = async (token: string) => [
    (await t.ask('GET', url, { token })).statusCode,
    (await create({}, token)).statusCode,
    (await t.ask('GET', one, { token })).statusCode,
    (await t.ask('PATCH', one, { token, body: { backup_priority: 1 } })).statusCode,
    (await t.ask('DELETE', one, { token })).statusCode,
  ];
  expect(await statuses(stranger)).toEqual([404, 404, 404, 404, 404]);
  expect(await statuses(viewer)).toEqual([200, 403, 200, 403, 403]);
  expect(await statuses(operator)).toEqual([200, 201, 200, 200, 200]);
  // A service under another server's address is not there.
  const { id: other } = await made();
  const elsewhere = await serverUrl();
  expect((await t.ask('GET', `${elsewhere}/${other}`, { token: operator })).statusCode).toBe(404);
  expect((await t.ask('DELETE', `${elsewhere}/${other}`, { token: operator })).statusCode).toBe(404);
});

test('services of a local server are for admins: its files are the worker host’s', async () => {
  const body = { kind: 'local', name: 'here', project_id: projectId };
  const { id } = (await t.ask('POST', '/api/servers', { token: admin, body })).json().data;
  const at = `/api/servers/${id}/services`;
  expect((await create({}, operator, at)).statusCode).toBe(403);
  expect((await create({}, admin, at)).statusCode).toBe(201);
});

test.each([
  ['relative', ['etc/app'], 'must be absolute'],
  ['going up', ['/etc/../root'], 'must not go up'],
  ['not plain', ['/etc//app'], 'plain form: /etc/app'],
  ['with a slash at its end', ['/etc/app/'], 'plain form: /etc/app'],
  ['with a dot', ['/etc/./app'], 'plain form: /etc/app'],
  ['the root', ['/'], 'must not be the whole file system'],
  ['made by the kernel', ['/proc/1'], 'lies in /proc'],
  ['twice', ['/srv', '/srv'], 'is named twice'],
  ['inside another', ['/srv', '/srv/app'], 'lies inside /srv'],
  ['around another', ['/srv/app', '/srv'], 'contains /srv/app'],
])('a path that is %s is refused', async (_name, dataPaths, message) => {
  const answer = await create({ data_paths: dataPaths });
  expect(answer.statusCode).toBe(400);
  const [fault] = answer.json().details;
  expect(fault.path).toBe(`body/data_paths/${dataPaths.length - 1}`);
  expect(fault.message).toContain(message);
});

test('odd names of files are plain paths all the same', async () => {
  const dataPaths = [
    '/srv/with space',
    '/srv/line\nbreak',
    '/srv/-dash',
    '/srv/quote\'"',
    '/srv/ünïcode',
    '/srvx',
  ];
  const { id } = await made({ config_paths: [], data_paths: dataPaths });
  const answer = await t.ask('GET', `${url}/${id}`, { token: viewer });
  expect(answer.json().data.data_paths).toEqual(dataPaths);
});

test('config and data paths must not overlap, and one must be there', async () => {
  expect(paths(await create({ config_paths: ['/srv'], data_paths: ['/srv/x'] }))).toEqual([
    'body/data_paths/0',
  ]);
  expect(paths(await create({ config_paths: [], data_paths: [] }))).toEqual(['body/data_paths']);
  const { id } = await made({ config_paths: ['/etc/app'], data_paths: ['/srv'] });
  const changed = await t.ask('PATCH', `${url}/${id}`, {
    token: operator,
    body: { config_paths: ['/srv/conf'] },
  });
  expect(paths(changed)).toEqual(['body/data_paths/0']);
});

test('dependencies name services of the same server, and make no circle', async () => {
  const at = await serverUrl();
  await made({ name: 'a' }, at);
  const b = await made({ name: 'b', depends_on: ['a'] }, at);
  const c = await made({ name: 'c', depends_on: ['b'] }, at);
  const one = (service: { id: string }) => `${at}/${service.id}`;
  expect(paths(await create({ depends_on: ['a', 'nobody', 'a'] }, operator, at))).toEqual([
    'body/depends_on/1',
    'body/depends_on/2',
  ]);
  expect(paths(await create({ name: 'self', depends_on: ['self'] }, operator, at))).toEqual([
    'body/depends_on/0',
  ]);
  const { id: a } = (await t.ask('GET', at, { token: operator })).json().data.at(-1);
  const circle = await t.ask('PATCH', `${at}/${a}`, { token: operator, body: { depends_on: ['c'] } });
  expect(circle.json().details).toEqual([
    { path: 'body/depends_on/0', message: 'makes a circle: a -> c -> b -> a' },
  ]);

  const needed = await t.ask('DELETE', one(b), { token: operator });
  expect([needed.statusCode, needed.json().code]).toEqual([409, 'CONFLICT']);
  // A new name is followed by those who depend on it.
  expect((await t.ask('PATCH', one(b), { token: operator, body: { name: 'bee' } })).statusCode).toBe(200);
  expect((await t.ask('GET', one(c), { token: operator })).json().data.depends_on).toEqual(['bee']);
  await t.ask('PATCH', one(c), { token: operator, body: { depends_on: [] } });
  expect((await t.ask('DELETE', one(b), { token: operator })).statusCode).toBe(200);
});

test('two changes at once make no circle', async () => {
  const at = await serverUrl();
  const a = await made({ name: 'a' }, at);
  const b = await made({ name: 'b' }, at);
  const point = (from: { id: string }, to: string) =>
    t.ask('PATCH', `${at}/${from.id}`, { token: operator, body: { depends_on: [to] } });
  const answers = await Promise.all([point(a, 'b'), point(b, 'a')]);
  expect(answers.map((answer) => answer.statusCode).sort()).toEqual([200, 400]);
});

test('names are taken within a server only, and hold no commas', async () => {
  const at = await serverUrl();
  await made({ name: 'same' }, at);
  expect((await create({ name: 'same' }, operator, at)).statusCode).toBe(409);
  expect((await create({ name: 'same' })).statusCode).toBe(201);
  expect(paths(await create({ name: 'a,b' }))).toEqual(['body/name']);
});
