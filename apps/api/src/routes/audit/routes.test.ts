import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AuditEntry, createAuditId } from '@tarfleet/db';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
let mine: number;
let other: number;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
  mine = (await t.db.projects.create({ name: 'mine' })).id;
  other = (await t.db.projects.create({ name: 'other' })).id;
});
afterAll(() => t.close());

/** Of a day long ago, so that what the tests themselves do is not among them. */
async function add(minute: number, change: Partial<AuditEntry> = {}): Promise<string> {
  const at = new Date(Date.UTC(2026, 0, 31, 12, minute));
  const id = createAuditId(at);
  await t.db.auditLog.add({
    ...{ id, at, userId: null, userEmail: 'x@example.com', via: 'session', tokenId: null, tokenName: null },
    ...{ action: 'server.update', method: 'PATCH', route: '/api/servers/:id', targetType: 'server' },
    ...{ targetId: null, projectId: null, outcome: 'succeeded', status: 200, errorCode: null },
    ...{ requestId: 'req', ip: '10.9.8.7', details: {} },
    ...change,
  });
  return id;
}
const DAY = 'from=2026-01-31&to=2026-01-31';
async function read(query: string, token = admin) {
  const answer = await t.ask('GET', `/api/audit?${query}`, { token });
  expect([query, answer.statusCode]).toEqual([query, 200]);
  const body = answer.json();
  return { ...body, ids: body.data.map((row: { id: string }) => row.id) };
}

test('admins see all; others their own and what was done in projects that they run', async () => {
  const operator = await t.as('operator', mine);
  const viewer = await t.as('viewer', mine);
  const lowered = await t.as('operator');
  await t.db.projectMembers.add({ projectId: mine, userId: lowered.user.id, role: 'viewer' });
  const nobody = await add(0);
  const inMine = await add(1, { projectId: mine, userId: viewer.user.id });
  const inOther = await add(2, { projectId: other });
  const own = await add(3, { userId: operator.user.id, projectId: other });
  const loweredOwn = await add(4, { userId: lowered.user.id });
  expect((await read(DAY)).ids).toEqual([loweredOwn, own, inOther, inMine, nobody]);
  expect((await read(DAY, operator.token)).ids).toEqual([own, inMine]);
  expect((await read(DAY, viewer.token)).ids).toEqual([inMine]);
  expect((await read(DAY, lowered.token)).ids).toEqual([loweredOwn]);
  expect((await read(`${DAY}&project_id=${other}`, operator.token)).ids).toEqual([own]);
  expect((await read(`${DAY}&project_id=${other}`, viewer.token)).ids).toEqual([]);
  const addresses = async (token: string) =>
    (await read(DAY, token)).data.map((row: { ip: string | null }) => row.ip);
  expect(await addresses(operator.token)).toEqual(['10.9.8.7', null]);
  expect(await addresses(viewer.token)).toEqual(['10.9.8.7']);
  expect((await t.ask('GET', '/api/audit')).statusCode).toBe(401);
});

test('pages by cursor, until there is none', async () => {
  const ids: string[] = [];
  for (let minute = 10; minute < 15; minute += 1) ids.unshift(await add(minute, { action: 'page.turn' }));
  const first = await read('action=page.&limit=2');
  expect([first.ids, first.count, first.next_cursor]).toEqual([ids.slice(0, 2), 2, ids[1]]);
  const second = await read(`action=page.&limit=2&cursor=${first.next_cursor}`);
  expect(second.ids).toEqual(ids.slice(2, 4));
  const last = await read(`action=page.&limit=2&cursor=${second.next_cursor}`);
  expect([last.ids, last.count, last.next_cursor]).toEqual([ids.slice(4), 1, null]);
  expect((await read('action=page.&limit=5')).next_cursor).toBeNull();
});

test('every filter', async () => {
  const userId = crypto.randomUUID();
  const targetId = crypto.randomUUID();
  const change = { action: 'restore.start', targetType: 'backup', targetId, userId, requestId: 'req-9876' };
  const id = await add(30, { ...change, outcome: 'refused', status: 409, errorCode: 'RESTORE_IN_PROGRESS' });
  for (const filter of [
    'action=restore.',
    'action=restore.start',
    `user_id=${userId}`,
    `target_id=${targetId}`,
    `target_id=${targetId.toUpperCase()}`,
    'target_type=backup',
    'outcome=refused',
    'request_id=req-9876',
  ]) {
    expect([filter, (await read(`${DAY}&${filter}`)).ids]).toEqual([filter, [id]]);
  }
  const moment = '2026-01-31T12:30:00Z';
  expect((await read(`from=${moment}&to=${moment}`)).ids).toEqual([id]);
  expect((await read('from=2026-01-31T12:30:01Z&to=2026-01-31T12:59')).ids).toEqual([]);
  const { data, message } = await read(`target_id=${targetId}`);
  expect(message).toBe('Audit log retrieved successfully');
  expect(data).toEqual([
    {
      ...{ id, at: '2026-01-31T12:30:00.000Z', user_id: userId, user_email: 'x@example.com', via: 'session' },
      ...{ token_id: null, token_name: null, action: 'restore.start', method: 'PATCH' },
      ...{ route: '/api/servers/:id', target_type: 'backup', target_id: targetId, project_id: null },
      ...{ outcome: 'refused', status: 409, error_code: 'RESTORE_IN_PROGRESS', request_id: 'req-9876' },
      ...{ ip: '10.9.8.7', details: {} },
    },
  ]);
});

test('faults in the filter are told, each by its path', async () => {
  for (const [query, path] of [
    ['from=2026-02-30', 'query/from'],
    ['to=soon', 'query/to'],
    ['limit=501', 'query/limit'],
    ['cursor=7', 'query/cursor'],
    ['action=a%25', 'query/action'],
    ['outcome=fine', 'query/outcome'],
    ['what=else', 'query/what'],
  ]) {
    const answer = await t.ask('GET', `/api/audit?${query}`, { token: admin });
    expect([query, answer.statusCode, answer.json().details[0].path]).toEqual([query, 400, path]);
  }
});
