import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { webhookAad } from '@tarfleet/vault';
import { newSecret } from '../../notifier/signature.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
let projectId: number;
beforeAll(async () => {
  t = await buildTestApp({ env: { WEBHOOK_ALLOWED: '10.9.0.0/16' } });
  admin = (await t.as('admin')).token;
  projectId = (await t.db.projects.ensureDefault()).id;
});
afterAll(() => t.close());

const body = (more: object = {}) => ({ url: 'https://1.1.1.1/hook', events: ['backup.failed'], ...more });
const create = (more: object = {}, token = admin) =>
  t.ask('POST', '/api/webhooks', { token, body: body(more) });
const made = async (more: object = {}) => {
  const answer = await create(more);
  expect([answer.statusCode, answer.body]).toEqual([201, expect.any(String)]);
  return answer.json().data as { id: string; secret: string };
};
const patch = (id: string, changes: object) =>
  t.ask('PATCH', `/api/webhooks/${id}`, { token: admin, body: changes });
const secretOf = async (id: string) => {
  const { url, secretCiphertext } = (await t.db.webhooks.get(id))!;
  return (t.vault.box.open(webhookAad({ id, url }), secretCiphertext) as { secret: string }).secret;
};

test('a secret is made, shown once, and kept sealed', async () => {
  const answer = await create();
  const { data } = answer.json();
  expect(data).toMatchObject({
    ...{ project_id: projectId, url: 'https://1.1.1.1/hook', events: ['backup.failed'], enabled: true },
    ...{ disabled_reason: null, secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/=]{44}$/) },
  });
  expect(answer.headers.location).toBe(`/api/webhooks/${data.id}`);
  expect(await secretOf(data.id)).toBe(data.secret);
  const seen = await t.ask('GET', `/api/webhooks/${data.id}`, { token: admin });
  const listed = await t.ask('GET', '/api/webhooks', { token: admin });
  const stored = JSON.stringify(await t.db.webhooks.get(data.id));
  const audited = await t.ask('GET', '/api/audit', { token: admin });
  for (const text of [seen.body, listed.body, stored, audited.body, t.logged()]) {
    expect(text).not.toContain(data.secret);
    expect(text).not.toContain(data.secret.slice(6));
  }
  expect(seen.json().data.secret).toBeUndefined();
  expect(audited.body).not.toContain('1.1.1.1');
  expect(t.logged()).not.toContain('1.1.1.1');
});

test('a secret may be brought along, and a repeated request shows none again', async () => {
  const secret = newSecret();
  const ask = { token: admin, body: body({ secret }), headers: { 'idempotency-key': 'w-1' } };
  const first = await t.ask('POST', '/api/webhooks', ask);
  expect(first.json().data.secret).toBe(secret);
  const again = await t.ask('POST', '/api/webhooks', ask);
  expect([again.statusCode, again.json().code]).toEqual([409, 'CONFLICT']);
  expect(again.body).not.toContain(secret);
});

test('a new url needs the secret again, or another one', async () => {
  const { id, secret } = await made();
  const refused = await patch(id, { url: 'https://1.1.1.1/elsewhere' });
  expect([refused.statusCode, refused.json().code]).toEqual([400, 'CREDENTIALS_REQUIRED']);
  expect((await patch(id, { url: 'https://1.1.1.1/hook', events: ['backup.started'] })).statusCode).toBe(200);
  const moved = await patch(id, { url: 'https://1.1.1.1/elsewhere', secret });
  expect(moved.json().data).toMatchObject({ url: 'https://1.1.1.1/elsewhere', events: ['backup.started'] });
  expect(await secretOf(id)).toBe(secret);
  const renewed = await patch(id, { url: 'https://1.1.1.1/third', renew_secret: true });
  expect(renewed.json().data.secret).not.toBe(secret);
  expect(await secretOf(id)).toBe(renewed.json().data.secret);
  expect((await patch(id, { secret, renew_secret: true })).statusCode).toBe(400);
});

test('one that was switched off by itself is switched on by hand', async () => {
  const { id } = await made();
  await t.db.webhooks.update(id, { enabled: false, disabledReason: 'gone' });
  const tested = await t.ask('POST', `/api/webhooks/${id}/test`, { token: admin });
  expect([tested.statusCode, tested.json().code]).toEqual([409, 'CONFLICT']);
  expect((await patch(id, { enabled: true })).json().data).toMatchObject({
    enabled: true,
    disabled_reason: null,
  });
});

test.each([
  [{ url: 'http://127.0.0.1/' }, 'body/url'],
  [{ url: 'http://[::ffff:169.254.169.254]/' }, 'body/url'],
  [{ url: 'http://localhost/' }, 'body/url'],
  [{ url: 'ftp://example.com' }, 'body/url'],
  [{ url: 'https://user:pw@1.1.1.1/' }, 'body/url'],
  [{ url: undefined }, 'body/url'],
  [{ events: [] }, 'body/events'],
  [{ events: ['backup.exploded'] }, 'body/events/0'],
  [{ events: ['backup.failed', 'backup.failed'] }, 'body/events'],
  [{ secret: 'short' }, 'body/secret'],
  [{ secret: `whsec_${'a'.repeat(33)}` }, 'body/secret'],
  [{ secrt: 'x' }, 'body/secrt'],
])('what is wrong is named by its path: %#', async (more, path) => {
  const answer = await create(more);
  expect(answer.statusCode).toBe(400);
  expect(answer.json().details.map((fault: { path: string }) => fault.path)).toContain(path);
});

test('what is allowed here may be told, too', async () => {
  expect((await create({ url: 'http://10.9.1.1:8080/' })).statusCode).toBe(201);
  expect((await create({ url: 'http://10.8.1.1:8080/' })).statusCode).toBe(400);
});

test('webhooks are for the operators of their project', async () => {
  const other = await t.db.projects.create({ name: 'other' });
  const { id } = await made();
  const outsider = (await t.as('operator', other.id)).token;
  const viewer = (await t.as('viewer', projectId)).token;
  const operator = (await t.as('operator', projectId)).token;
  for (const [token, status] of [
    ...[
      [outsider, 404],
      [viewer, 403],
      [operator, 200],
    ],
  ] as [string, number][]) {
    expect((await t.ask('GET', `/api/webhooks/${id}`, { token })).statusCode).toBe(status);
    expect((await t.ask('GET', `/api/webhooks/${id}/deliveries`, { token })).statusCode).toBe(status);
    const tested = await t.ask('POST', `/api/webhooks/${id}/test`, { token });
    expect(tested.statusCode).toBe(status === 200 ? 202 : status);
    const changed = await t.ask('PATCH', `/api/webhooks/${id}`, { token, body: { enabled: true } });
    expect(changed.statusCode).toBe(status);
  }
  expect((await create({}, viewer)).statusCode).toBe(403);
  expect((await create({}, outsider)).statusCode).toBe(404);
  expect((await create({ project_id: other.id }, outsider)).statusCode).toBe(201);
  const seen = await t.ask('GET', '/api/webhooks', { token: outsider });
  expect(seen.json().data.map((one: { project_id: number }) => one.project_id)).toEqual([other.id]);
  expect((await t.ask('GET', '/api/notifications', { token: viewer })).statusCode).toBe(403);
  expect((await t.ask('GET', '/api/notifications', { token: outsider })).json().total).toBe(0);
  expect((await t.ask('DELETE', `/api/webhooks/${id}`, { token: outsider })).statusCode).toBe(404);
  expect((await t.ask('DELETE', `/api/webhooks/${id}`, { token: operator })).statusCode).toBe(200);
  expect((await t.ask('DELETE', `/api/webhooks/${id}`, { token: operator })).statusCode).toBe(404);
});

test('a test is a delivery, which is looked at and sent again', async () => {
  const { id } = await made();
  const answer = await t.ask('POST', `/api/webhooks/${id}/test`, { token: admin });
  const { data } = answer.json();
  expect([answer.statusCode, data.state, data.event]).toEqual([202, 'pending', 'webhook.test']);
  const at = `/api/webhooks/${id}/deliveries/${data.id}`;
  expect(answer.headers.location).toBe(at);
  const claimed = (await t.db.deliveries.claim({ busy: [], claimMs: 60_000 }))!;
  const inHand = await t.ask('POST', `${at}/resend`, { token: admin });
  expect([inHand.statusCode, inHand.json().code]).toEqual([409, 'CONFLICT']);
  await t.db.deliveries.finish(claimed, { state: 'failed', status: 500, error: 'It failed.' });
  const listed = await t.ask('GET', `/api/webhooks/${id}/deliveries?state=failed`, { token: admin });
  expect(listed.json()).toMatchObject({
    data: [{ id: data.id, attempts: 1, last_status: 500, last_error: 'It failed.', next_attempt_at: null }],
    ...{ total: 1, page: 1, per_page: 20, total_pages: 1 },
  });
  const one = await t.ask('GET', at, { token: admin });
  expect(one.json().data.payload).toEqual({
    ...{ event: 'webhook.test', timestamp: expect.any(String) },
    data: { webhook_id: id, project_id: projectId },
  });
  const again = await t.ask('POST', `${at}/resend`, { token: admin });
  expect([again.statusCode, again.json().data]).toMatchObject([202, { id: data.id, state: 'pending' }]);
  const other = await made();
  const strange = await t.ask('GET', `/api/webhooks/${other.id}/deliveries/${data.id}`, { token: admin });
  expect(strange.statusCode).toBe(404);
});

test('what a request’s own address is signed with is told to administrators, in the log as read', async () => {
  const ask = (token: string, url = 'https://hooks.example.com/x') =>
    t.ask('POST', '/api/webhooks/signing-secret', { token, body: { url } });
  const { secret } = (await ask(admin)).json().data;
  expect(secret).toMatch(/^whsec_/);
  expect((await ask(admin, 'https://hooks.example.com/y')).json().data.secret).not.toBe(secret);
  expect((await ask((await t.as('operator', projectId)).token)).statusCode).toBe(403);
  const audited = await t.ask('GET', '/api/audit?action=webhook.reveal', { token: admin });
  expect(audited.json().data.length).toBeGreaterThanOrEqual(3);
  expect(audited.body + t.logged()).not.toContain(secret);
});
