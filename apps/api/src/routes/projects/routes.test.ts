import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
});
afterAll(() => t.close());

test('an admin makes, renames and deletes a project', async () => {
  const made = await t.ask('POST', '/api/projects', { token: admin, body: { name: 'alpha' } });
  expect(made.statusCode).toBe(201);
  const { id } = made.json().data;
  expect(Number.isInteger(id)).toBe(true);
  const url = `/api/projects/${id}`;
  expect(made.headers.location).toBe(url);
  const taken = await t.ask('POST', '/api/projects', { token: admin, body: { name: 'alpha' } });
  expect([taken.statusCode, taken.json().code]).toEqual([409, 'CONFLICT']);
  const renamed = await t.ask('PATCH', url, { token: admin, body: { name: 'beta' } });
  expect(renamed.json().data).toMatchObject({ id, name: 'beta' });
  expect((await t.ask('DELETE', url, { token: admin })).statusCode).toBe(200);
  for (const method of ['GET', 'DELETE'] as const) {
    expect((await t.ask(method, url, { token: admin })).statusCode).toBe(404);
  }
  expect((await t.ask('PATCH', url, { token: admin, body: { name: 'x' } })).statusCode).toBe(404);
});

test('members see their projects and no other, and change none', async () => {
  const mine = await t.db.projects.create({ name: 'mine' });
  const other = await t.db.projects.create({ name: 'other' });
  const { token } = await t.as('operator', mine.id);
  const list = await t.ask('GET', '/api/projects', { token });
  expect(list.json()).toMatchObject({ total: 1, data: [{ id: mine.id }] });
  expect((await t.ask('GET', `/api/projects/${mine.id}`, { token })).statusCode).toBe(200);
  const foreign = await t.ask('GET', `/api/projects/${other.id}`, { token });
  const missing = await t.ask('GET', '/api/projects/999999', { token });
  expect([foreign.statusCode, foreign.body]).toEqual([404, missing.body]);
  for (const [method, url] of [
    ['POST', '/api/projects'],
    ['PATCH', `/api/projects/${mine.id}`],
    ['DELETE', `/api/projects/${mine.id}`],
    ['GET', `/api/projects/${mine.id}/members`],
  ] as const) {
    const body = method === 'POST' || method === 'PATCH' ? { body: { name: 'x' } } : {};
    expect([method, url, (await t.ask(method, url, { token, ...body })).statusCode]).toEqual([
      method,
      url,
      403,
    ]);
  }
  const me = await t.ask('GET', '/api/auth/me', { token });
  expect(me.json().data.projects).toEqual([{ id: mine.id, name: 'mine', role: 'operator' }]);
});

test('the default project stays', async () => {
  const { id } = await t.db.projects.ensureDefault();
  const answer = await t.ask('DELETE', `/api/projects/${id}`, { token: admin });
  expect([answer.statusCode, answer.json().code]).toEqual([409, 'CONFLICT']);
});

test('lists go page by page, the newest first', async () => {
  const names = ['p1', 'p2', 'p3'];
  for (const name of names) await t.db.projects.create({ name });
  const first = (await t.ask('GET', '/api/projects?per_page=2', { token: admin })).json();
  expect(first.data.map((one: { name: string }) => one.name)).toEqual(['p3', 'p2']);
  expect(first.total_pages).toBe(Math.ceil(first.total / 2));
  const second = (await t.ask('GET', '/api/projects?per_page=2&page=2', { token: admin })).json();
  expect(second.data[0].name).toBe('p1');
  const beyond = (await t.ask('GET', '/api/projects?page=1000', { token: admin })).json();
  expect(beyond.data).toEqual([]);
});
