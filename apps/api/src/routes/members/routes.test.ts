import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
let url: string;
let projectId: number;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
  projectId = (await t.db.projects.create({ name: 'alpha' })).id;
  url = `/api/projects/${projectId}/members`;
});
afterAll(() => t.close());

test('a membership opens the project, and its end closes it', async () => {
  const { user, token } = await t.as('operator');
  const project = `/api/projects/${projectId}`;
  expect((await t.ask('GET', project, { token })).statusCode).toBe(404);
  const made = await t.ask('POST', url, { token: admin, body: { user_id: user.id } });
  expect(made.statusCode).toBe(201);
  expect(made.json().data).toMatchObject({ project_id: projectId, user_id: user.id, role: 'operator' });
  expect((await t.ask('GET', project, { token })).statusCode).toBe(200);
  const again = await t.ask('POST', url, { token: admin, body: { user_id: user.id } });
  expect([again.statusCode, again.json().code]).toEqual([409, 'CONFLICT']);

  const one = String(made.headers.location);
  expect((await t.ask('GET', one, { token: admin })).json().data.email).toBe(user.email);
  const lowered = await t.ask('PATCH', one, { token: admin, body: { role: 'viewer' } });
  expect(lowered.json().data.role).toBe('viewer');
  expect((await t.ask('GET', url, { token: admin })).json().total).toBe(1);
  expect((await t.ask('DELETE', one, { token: admin })).statusCode).toBe(200);
  expect((await t.ask('GET', project, { token })).statusCode).toBe(404);
  for (const method of ['GET', 'DELETE'] as const) {
    expect((await t.ask(method, one, { token: admin })).statusCode).toBe(404);
  }
});

test('a role above the user’s own is refused, for it would never take effect', async () => {
  const { user } = await t.as('viewer');
  const answer = await t.ask('POST', url, { token: admin, body: { user_id: user.id, role: 'operator' } });
  expect(answer.json().details[0].path).toBe('body/role');
  await t.ask('POST', url, { token: admin, body: { user_id: user.id } });
  const raised = await t.ask('PATCH', `${url}/${user.id}`, { token: admin, body: { role: 'operator' } });
  expect(raised.statusCode).toBe(400);
});

test('unknown users and projects', async () => {
  const nobody = { user_id: crypto.randomUUID() };
  const unknown = await t.ask('POST', url, { token: admin, body: nobody });
  expect(unknown.json().details[0].path).toBe('body/user_id');
  for (const method of ['GET', 'POST'] as const) {
    const body = method === 'POST' ? { body: nobody } : {};
    const answer = await t.ask(method, '/api/projects/999999/members', { token: admin, ...body });
    expect([method, answer.statusCode]).toEqual([method, 404]);
  }
});
