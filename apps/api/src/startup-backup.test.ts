import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Dispatcher } from './dispatcher.ts';
import { enter, startStartupBackup } from './startup-backup.ts';
import { openRunFixture, queueThatIsDown, type RunFixture, silent } from './testing/run-fixture.ts';

let t: RunFixture;
beforeEach(async () => {
  t = await openRunFixture();
});
afterEach(() => t.close());

const options = (dispatcher: Dispatcher = t.dispatcherOn(queueThatIsDown())) => ({
  ...{ db: t.db, keys: t.keys, dispatcher, logger: silent, config: { BACKUP_ENCRYPTION: false } },
});
const backups = async () =>
  (await t.db.backups.list({ projectIds: null, page: 1, perPage: 100 })).rows.map(
    ({ occasion, destination, status }) => [occasion, destination?.name, status],
  );

/** The default project, with something to back up. */
async function withService(): Promise<void> {
  const { id: projectId } = await t.db.projects.ensureDefault();
  const server = await t.addServer({ projectId });
  await t.addService(server.id);
}

test('of several replicas that start at once one makes the backup, and later ones none', async () => {
  await withService();
  const ids = Array.from({ length: 4 }, () => crypto.randomUUID());
  expect(await Promise.all(ids.map((id) => enter(options(), id, false)))).toEqual([true, true, true, true]);
  expect(await backups()).toEqual([['startup', 'main', 'in_progress']]);
  // Also when nothing is in the way of a second one any more.
  const [made] = (await t.db.backups.list({ projectIds: null, page: 1, perPage: 1 })).rows;
  await t.db.leases.release(made!.id);
  expect(await enter(options(), crypto.randomUUID(), false)).toBe(true);
  expect(await backups()).toHaveLength(1);
});

test('a deployment that was stopped and starts again makes the next one', async () => {
  await withService();
  const first = startStartupBackup(options());
  while ((await backups()).length === 0) await new Promise((done) => setTimeout(done, 20));
  await first.stop();
  const [{ id } = { id: '' }] = (await t.db.backups.list({ projectIds: null, page: 1, perPage: 1 })).rows;
  expect(await t.db.auditLog.list({ seenBy: null, targetId: id, limit: 1 })).toMatchObject([
    { action: 'backup.create', via: 'system', outcome: 'accepted', details: { job_id: id } },
  ]);
  // The one before runs still: that may pass, and when it does not there is none.
  expect(await enter(options(), crypto.randomUUID(), true)).toBe(false);
  await t.db.leases.release(id);
  expect(await enter(options(), crypto.randomUUID(), true)).toBe(true);
  expect(await backups()).toHaveLength(2);
});

test('whoever dies before it is stored was not the first', async () => {
  await withService();
  const dying = { ...t.dispatcherOn(queueThatIsDown()), store: () => Promise.reject(new Error('killed')) };
  await expect(enter(options(dying), crypto.randomUUID(), true)).rejects.toThrow('killed');
  expect(await enter(options(), crypto.randomUUID(), true)).toBe(true);
  expect(await backups()).toHaveLength(1);
});

test('it goes to the first destination that is enabled; without one, or without services, there is none', async () => {
  expect(await enter(options(), crypto.randomUUID(), true)).toBe(true);
  expect(await backups()).toEqual([]);
  await t.close();
  t = await openRunFixture();
  await withService();
  await t.db.destinations.create({
    ...{ name: 'other', type: 'local', config: { path: '/srv/other' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: false },
  });
  await t.db.destinations.update(t.destination.id, { enabled: false });
  expect(await enter(options(), crypto.randomUUID(), true)).toBe(true);
  expect(await backups()).toEqual([['startup', 'other', 'in_progress']]);
});
