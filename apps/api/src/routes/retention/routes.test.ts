import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BackupChange } from '@tarfleet/db';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';

let world: BackupWorld;
let t: BackupWorld['t'];
let token: string;
let url: string;
beforeAll(async () => {
  world = await openBackupWorld();
  ({ t, token } = world);
  url = `/api/projects/${world.projectId}/retention`;
});
afterAll(() => world.close());

const DAY_MS = 24 * 3600 * 1000;
const ago = (days: number): Date => new Date(Date.now() - days * DAY_MS);
/** Made so many days ago, and its own days are over. */
async function old(days: number, change: BackupChange = {}): Promise<string> {
  const id = await world.backedUp();
  await t.db.backups.change(id, { createdAt: ago(days), retentionUntil: ago(1), ...change });
  return id;
}
const ask = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: object) =>
  t.ask(method, path, { token, ...(body ? { body } : {}) });

test('a policy is set, shown, audited with its values, and removed; what it cannot be is refused', async () => {
  expect((await ask('GET', url)).json().data).toEqual({ project_id: world.projectId, retention: null });
  const policy = { days: 7, keep_daily: 14, timezone: 'Europe/Berlin' };
  expect((await ask('PUT', url, policy)).json().data.retention).toEqual(policy);
  expect((await ask('GET', url)).json().data.retention).toEqual(policy);
  const [row] = await t.db.auditLog.list({ seenBy: null, action: 'project.set_retention', limit: 1 });
  expect(row).toMatchObject({ projectId: world.projectId, outcome: 'succeeded', details: policy });
  for (const bad of [{}, { keep_last: 0 }, { days: 1, timezone: 'Mars/Olympus' }, { keep_dayly: 1 }]) {
    expect((await ask('PUT', url, bad)).json().code).toBe('VALIDATION_FAILED');
  }
  expect((await ask('DELETE', url)).json().data.retention).toBeNull();
  const { token: operator } = await t.as('operator', world.projectId);
  expect((await t.ask('GET', url, { token: operator })).statusCode).toBe(200);
  expect((await t.ask('PUT', url, { token: operator, body: policy })).statusCode).toBe(403);
  const { token: stranger } = await t.as('viewer');
  for (const path of [url, `${url}/preview`]) {
    expect((await t.ask('GET', path, { token: stranger })).statusCode).toBe(404);
  }
});

test('a destination has a policy of its own', async () => {
  const path = `/api/destinations/${world.destinationId}`;
  const change = (retention: unknown) => t.ask('PATCH', path, { token, body: { retention } });
  expect((await change({ keep_last: 3 })).json().data.retention).toEqual({ keep_last: 3 });
  expect((await change({ keep_last: 3, timezone: 'No/Where' })).statusCode).toBe(400);
  expect((await change(null)).json().data.retention).toBeNull();
});

test('the preview says what would go and why the rest is kept; a DELETE without force respects it', async () => {
  await ask('PUT', url, { keep_last: 1, days: 2 });
  const gone = await old(9);
  const locked = await old(8);
  expect((await ask('POST', `/api/backups/${locked}/lock`, { reason: 'case 12' })).statusCode).toBe(200);
  const own = await old(7, { retentionUntil: ago(-3) });
  const newest = await old(1);
  const { data } = (await ask('GET', `${url}/preview`)).json();
  const shown = Object.fromEntries(
    data.backups.map((one: { backup_id: string; action: string; reasons: { rule: string }[] }) => [
      one.backup_id,
      [one.action, ...one.reasons.map(({ rule }) => rule)],
    ]),
  );
  expect(shown).toEqual({
    [gone]: ['delete'],
    [locked]: ['keep', 'locked'],
    [own]: ['keep', 'retention_days'],
    [newest]: ['keep', 'days', 'keep_last', 'keep_newest'],
  });
  expect(data).toMatchObject({ totals: { keep: 3, hide: 0, delete: 1 }, total: 4 });
  const some = (await ask('GET', `${url}/preview?action=delete&per_page=1`)).json().data;
  expect(some.backups).toEqual([expect.objectContaining({ backup_id: gone, reasons: [] })]);
  const hold = await t.db.holds.take(gone, 60);
  const held = (await ask('GET', `${url}/preview?action=hide`)).json().data;
  expect(held.backups).toEqual([expect.objectContaining({ backup_id: gone, downloads: 1 })]);
  await t.db.holds.release(hold);

  const refused = await ask('DELETE', `/api/backups/${newest}`);
  expect([refused.statusCode, refused.json().code]).toEqual([409, 'RETENTION_POLICY_VIOLATION']);
  expect(refused.json().details.reasons.map(({ rule }: { rule: string }) => rule)).toEqual([
    'days',
    'keep_last',
  ]);
  expect((await ask('DELETE', `/api/backups/${own}`)).json().details).toHaveProperty('retention_until');
  expect((await ask('DELETE', `/api/backups/${gone}`)).statusCode).toBe(202);
  await ask('DELETE', url);
});

test('a locked backup is deleted by nobody, and shows who locked it', async () => {
  const id = await old(3);
  const until = ago(-1).toISOString();
  const answer = await ask('POST', `/api/backups/${id}/lock`, { reason: 'hold', until });
  const lock = { until, reason: 'hold', by: expect.stringMatching(/@/), since: expect.any(String) };
  expect(answer.json().data.locked).toEqual(lock);
  expect((await ask('GET', `/api/backups/${id}`)).json().data.locked).toEqual(lock);
  for (const query of ['', '?force=true&reason=please']) {
    const refused = await ask('DELETE', `/api/backups/${id}${query}`);
    expect([refused.statusCode, refused.json().code]).toEqual([409, 'RETENTION_POLICY_VIOLATION']);
    expect(refused.json().details).toEqual({ locked: true, reason: 'hold', locked_until: until });
  }
  await expect(t.db.backups.change(id, { lockUntil: null, status: 'deleting' })).rejects.toThrow();
  const { token: operator } = await t.as('operator', world.projectId);
  for (const method of ['POST', 'DELETE'] as const) {
    const body = method === 'POST' ? { body: { reason: 'x' } } : {};
    expect((await t.ask(method, `/api/backups/${id}/lock`, { token: operator, ...body })).statusCode).toBe(
      403,
    );
  }
  expect((await ask('DELETE', `/api/backups/${id}/lock`)).json().data.locked).toBeNull();
  const rows = await t.db.auditLog.list({ seenBy: null, targetId: id, limit: 10 });
  expect(rows.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual(
    expect.arrayContaining(['backup.lock succeeded', 'backup.delete refused', 'backup.unlock succeeded']),
  );
  expect((await ask('DELETE', `/api/backups/${id}`)).statusCode).toBe(202);
  expect((await ask('POST', `/api/backups/${id}/lock`, { reason: 'too late' })).json().code).toBe(
    'BACKUP_INCOMPLETE',
  );
});

test('a lock needs an end that is a time, and to come', async () => {
  const id = await old(3);
  for (const until of ['2020-01-01T00:00:00Z', '2999-01-01', 'soon', '2999-01-01T00:00:00']) {
    const refused = await ask('POST', `/api/backups/${id}/lock`, { reason: 'x', until });
    expect([until, refused.json().code]).toEqual([until, 'VALIDATION_FAILED']);
  }
});

test('a new backup has 90 days, those of its destination, or under a policy none of its own', async () => {
  const days = async () => (await t.db.backups.get(await world.backedUp()))?.retentionDays;
  expect(await days()).toBe(90);
  await ask('PUT', url, { keep_daily: 7 });
  expect(await days()).toBeNull();
  await t.db.destinations.update(world.destinationId, { retentionDays: 12 });
  expect(await days()).toBe(12);
});
