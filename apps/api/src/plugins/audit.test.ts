import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEntry, Database } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { type BackupWorld, openBackupWorld } from '../testing/backup-world.ts';
import { sshServer } from '../testing/samples.ts';
import { PASSWORD } from '../testing/test-app.ts';

let world: BackupWorld;
let t: BackupWorld['t'];
let token: string;
beforeAll(async () => {
  world = await openBackupWorld();
  ({ t, token } = world);
});
afterAll(() => world.close());

const UNKNOWN = '019b0000-0000-7000-8000-000000000000';
type Method = Parameters<typeof t.ask>[0];

/** Sends it under an id of its own, and gives the answer and the rows that tell of it. */
async function audited(method: Method, url: string, ask: Parameters<typeof t.ask>[2] = {}) {
  const requestId = crypto.randomUUID();
  const headers = { ...ask.headers, 'x-request-id': requestId };
  const answer = await t.ask(method, url, { ...ask, headers });
  const rows = await t.db.auditLog.list({ seenBy: null, requestId, limit: 10 });
  return { answer, rows, row: rows[0] as AuditEntry };
}

test('each route that changes something writes one row when it is refused, whoever asks', async () => {
  const { paths } = (await t.ask('GET', '/openapi.json')).json();
  const viewer = (await t.as('viewer')).token;
  let seen = 0;
  for (const [path, operations] of Object.entries<Record<string, { 'x-audit'?: string }>>(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (method === 'get') continue;
      const url = path.replace(/^(\/api\/projects\/)\{id\}/, '$1999999').replace(/\{\w+\}/g, UNKNOWN);
      const body = method === 'delete' ? {} : { body: { nonsense: true } };
      for (const who of [{}, { token: viewer }, { token }]) {
        const { answer, rows } = await audited(method.toUpperCase() as Method, url, { ...who, ...body });
        if (answer.statusCode < 400) continue;
        const { code } = answer.json();
        const action = operation['x-audit'] === 'auth.login' ? 'auth.login_failed' : operation['x-audit'];
        const expected = { action, outcome: 'refused', status: answer.statusCode, errorCode: code };
        expect([url, rows]).toEqual([url, [expect.objectContaining(expected)]]);
        expect(rows[0]!.details).toEqual({});
        seen += 1;
      }
    }
  }
  expect(seen).toBeGreaterThan(80);
  const unfinished = await t.db.auditLog.settle(new Date(Date.now() + 60_000));
  expect(unfinished).toBe(0);
});

test('a route that changes something cannot be added without its rule', async () => {
  const other = await t.replica();
  expect(() => other.put('/test/silent', async () => 'done')).toThrow('needs an audit rule');
});

test('what was done is named with who, what, where and which fields, and no value of them', async () => {
  const { user, token: operator } = await t.as('operator', world.projectId);
  const body = { ...sshServer(), project_id: world.projectId };
  const made = await audited('POST', '/api/servers', { token: operator, body });
  const { id } = made.answer.json().data;
  expect(made.rows).toEqual([
    expect.objectContaining({
      ...{ userId: user.id, userEmail: user.email, via: 'session', tokenId: null, action: 'server.create' },
      ...{ method: 'POST', route: '/api/servers', targetType: 'server', targetId: id, status: 201 },
      ...{ projectId: world.projectId, outcome: 'succeeded', errorCode: null, ip: '127.0.0.1' },
      details: {
        fields: ['kind', 'name', 'host', 'username', 'auth', 'project_id'],
        ...{ name: body.name, kind: 'ssh', project_id: world.projectId },
      },
    }),
  ]);
  const changed = await audited('PATCH', `/api/servers/${id}`, { token: operator, body: { username: 'u2' } });
  expect(changed.row).toMatchObject({
    projectId: world.projectId,
    targetId: id,
    details: { fields: ['username'] },
  });
  expect(JSON.stringify(changed.rows)).not.toContain('u2');
  const gone = await audited('DELETE', `/api/servers/${id}`, { token: operator });
  expect(gone.row).toMatchObject({
    action: 'server.delete',
    outcome: 'succeeded',
    projectId: world.projectId,
  });
});

test('a row says by which token, and stays as it was when its user is gone', async () => {
  const { user, token: session } = await t.as('admin');
  const made = await audited('POST', '/api/auth/tokens', { token: session, body: { name: 'ci' } });
  const { id: tokenId, token: apiToken } = made.answer.json().data;
  expect(made.row).toMatchObject({ action: 'token.create', targetId: tokenId, details: { name: 'ci' } });
  expect(JSON.stringify(made.rows)).not.toContain(apiToken);
  const headers = { 'x-api-token': apiToken };
  const project = await audited('POST', '/api/projects', { headers, body: { name: 'by token' } });
  expect(project.row).toMatchObject({ via: 'token', tokenId, tokenName: 'ci', userId: user.id });
  expect(project.row.projectId).toBe(project.answer.json().data.id);
  await t.ask('DELETE', `/api/users/${user.id}`, { token });
  const after = await t.db.auditLog.list({ seenBy: null, requestId: project.row.requestId, limit: 10 });
  expect(after).toEqual(project.rows);
});

test('logins, right and wrong: the account is named, what was typed as an address is not', async () => {
  const user = await t.user('viewer');
  const login = (email: string, password: string) =>
    audited('POST', '/api/auth/login', { body: { email, password } });
  expect((await login(user.email, PASSWORD)).rows).toEqual([
    expect.objectContaining({ action: 'auth.login', userId: user.id, via: 'password', outcome: 'succeeded' }),
  ]);
  expect((await login(user.email, 'wrong')).rows).toEqual([
    expect.objectContaining({
      ...{ action: 'auth.login_failed', userId: null, targetId: user.id, errorCode: 'INVALID_CREDENTIALS' },
      details: { fields: ['email', 'password'], email: user.email },
    }),
  ]);
  const typo = await login('my secret password', 'x');
  expect(typo.row).toMatchObject({ action: 'auth.login_failed', userId: null, targetId: null });
  expect(JSON.stringify(typo.rows)).not.toContain('secret');
});

test('one’s own refused attempts do not tell whose something is', async () => {
  const { token: stranger } = await t.as('operator');
  const foreign = await audited('DELETE', `/api/servers/${world.serverId}`, { token: stranger });
  expect(foreign.row).toMatchObject({ status: 404, targetId: world.serverId, projectId: null });
  const { token: viewer } = await t.as('viewer', world.projectId);
  const seen = await audited('DELETE', `/api/servers/${world.serverId}`, { token: viewer });
  expect(seen.row).toMatchObject({ status: 403, projectId: world.projectId });
});

test('a job’s row is there with the job, long before an answer that waits for its end', async () => {
  const id = await world.backedUp();
  const waiting = audited('DELETE', `/api/backups/${id}?force=true&reason=too%20large`, {
    token,
    headers: { prefer: 'wait=30' },
  });
  const job = await world.running('delete');
  const before = await t.db.auditLog.list({ seenBy: null, targetId: id, action: 'backup.delete', limit: 10 });
  expect(before).toEqual([
    expect.objectContaining({
      ...{ outcome: 'accepted', status: 202, projectId: world.projectId },
      details: { force: true, reason: 'too large', job_id: job.id },
    }),
  ]);
  await world.end(job, { failure: { code: 'STORAGE_FAILED', message: 'no', retryable: false } });
  const { answer, rows } = await waiting;
  expect(answer.statusCode).toBe(502);
  expect(rows).toEqual(before);
});

test('a repeat under an Idempotency-Key has a row of its own that says so', async () => {
  const ask = { token, body: { name: 'once' }, headers: { 'idempotency-key': 'once' } };
  const first = await audited('POST', '/api/projects', ask);
  const second = await audited('POST', '/api/projects', ask);
  expect(second.answer.body).toBe(first.answer.body);
  expect(first.row.details.replayed).toBeUndefined();
  expect(second.rows).toEqual([expect.objectContaining({ targetId: first.row.targetId, status: 201 })]);
  expect(second.row.details.replayed).toBe(true);
});

function without(part: 'begin' | 'end'): Database {
  const down = async (): Promise<never> => {
    throw new AppError('UNAVAILABLE', 'down');
  };
  return { ...t.db, auditLog: { ...t.db.auditLog, [part]: down } };
}

test('what cannot be logged is not done', async () => {
  const other = await t.replica({ db: without('begin') });
  const answer = await other.inject({
    ...{ method: 'POST', url: '/api/projects', payload: { name: 'unlogged' } },
    headers: { authorization: `Bearer ${token}` },
  });
  expect([answer.statusCode, answer.json().code]).toEqual([503, 'UNAVAILABLE']);
  const { data } = (await t.ask('GET', '/api/projects?per_page=100', { token })).json();
  expect(data.map((one: { name: string }) => one.name)).not.toContain('unlogged');
});

test('what was done is answered, and logged as unknown when its end could not be', async () => {
  const other = await t.replica({ db: without('end') });
  const requestId = crypto.randomUUID();
  const answer = await other.inject({
    ...{ method: 'POST', url: '/api/projects', payload: { name: 'done' } },
    headers: { authorization: `Bearer ${token}`, 'x-request-id': requestId },
  });
  expect(answer.statusCode).toBe(201);
  const rows = () => t.db.auditLog.list({ seenBy: null, requestId, limit: 10 });
  expect(await rows()).toEqual([]);
  expect(t.logged()).toContain('audit row not written');
  await t.db.auditLog.settle(new Date(Date.now() + 1000));
  expect(await rows()).toEqual([
    expect.objectContaining({ action: 'project.create', outcome: 'unknown', status: null }),
  ]);
});
