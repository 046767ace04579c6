import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { destinationDraft, insertBackup } from './testing/drafts.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;
let projectId: number;

beforeAll(async () => {
  db = await openMigratedDatabase();
  projectId = (await db.projects.ensureDefault()).id;
});

afterAll(async () => {
  await db.close();
});

test('create, read, change, delete', async () => {
  const draft = destinationDraft({ id: v7(), secretCiphertext: 'v1.abc', retentionDays: 30 });
  const destination = await db.destinations.create(draft);
  expect(destination).toMatchObject(draft);
  expect(await db.destinations.get(destination.id)).toEqual(destination);
  expect(await db.destinations.findByName(draft.name)).toEqual(destination);
  await expect(db.destinations.create(destinationDraft({ name: draft.name }))).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('destination with this name'),
  });
  const changed = await db.destinations.update(destination.id, {
    config: { path: '/b' },
    retentionDays: null,
  });
  expect(changed).toMatchObject({ config: { path: '/b' }, retentionDays: null, secretCiphertext: 'v1.abc' });
  expect((await db.destinations.list({ page: 1, perPage: 10 })).items).toEqual([changed]);
  expect(await db.destinations.delete(destination.id)).toBe(true);
  expect(await db.destinations.delete(destination.id)).toBe(false);
});

test('at most one is the default, and asking for a missing one changes nothing', async () => {
  expect(await db.destinations.getDefault()).toBeNull();
  const a = await db.destinations.create(destinationDraft({ isDefault: true }));
  const b = await db.destinations.create(destinationDraft({ isDefault: true }));
  expect(await db.destinations.getDefault()).toEqual(b);
  await db.destinations.update(a.id, { isDefault: true });
  expect((await db.destinations.getDefault())?.id).toBe(a.id);
  expect(await db.destinations.update(v7(), { isDefault: true })).toBeNull();
  expect((await db.destinations.getDefault())?.id).toBe(a.id);
  await Promise.allSettled(
    [1, 2, 3, 4].map(() => db.destinations.create(destinationDraft({ isDefault: true }))),
  );
  expect(await db.prisma.destination.count({ where: { isDefault: true } })).toBe(1);
});

test('a destination stays while backups lie there', async () => {
  const { id } = await db.destinations.create(destinationDraft());
  const backupId = await insertBackup(db.prisma, { projectId, destinationId: id, status: 'failed' });
  expect(await db.destinations.hasBackups(id)).toBe(true);
  await expect(db.destinations.delete(id)).rejects.toMatchObject({
    code: 'DESTINATION_IN_USE',
    message: expect.stringContaining('Backups are kept'),
  });
  // The table itself refuses it too.
  await expect(db.prisma.destination.delete({ where: { id } })).rejects.toMatchObject({ code: 'INTERNAL' });
  await db.prisma.backup.update({ where: { id: backupId }, data: { status: 'deleted' } });
  expect(await db.destinations.hasBackups(id)).toBe(false);
  expect(await db.destinations.delete(id)).toBe(true);
  expect(await db.prisma.backup.findUnique({ where: { id: backupId } })).toMatchObject({
    destinationId: null,
  });
});
