import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { destinationDraft, insertBackup, insertJob, serverDraft } from './testing/drafts.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;

beforeAll(async () => {
  db = await openMigratedDatabase();
});

afterAll(async () => {
  await db.close();
});

test('the default project is there once, and stays', async () => {
  expect(await db.projects.getDefault()).toBeNull();
  const found = await Promise.all([1, 2, 3].map(() => db.projects.ensureDefault()));
  expect(new Set(found.map((project) => project.id)).size).toBe(1);
  const { id } = found[0]!;
  expect(await db.projects.getDefault()).toEqual(found[0]);
  await expect(db.projects.delete(id)).rejects.toMatchObject({ code: 'CONFLICT' });
  await expect(db.projects.update(id, { name: 'other' })).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await db.projects.update(id, { name: 'default' })).toEqual(found[0]);
});

test('create, read, rename, delete', async () => {
  const project = await db.projects.create({ name: 'one' });
  expect(await db.projects.get(project.id)).toEqual(project);
  expect(await db.projects.update(project.id, { name: 'two' })).toEqual({ ...project, name: 'two' });
  await db.projects.create({ name: 'three' });
  await expect(db.projects.update(project.id, { name: 'three' })).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await db.projects.delete(project.id)).toBe(true);
  expect(await db.projects.delete(project.id)).toBe(false);
  expect(await db.projects.update(project.id, { name: 'x' })).toBeNull();
});

test('members see their projects, admins all, others none', async () => {
  const role = 'operator' as const;
  const user = await db.users.create({ email: 'm@example.com', passwordHash: 'x', role });
  const mine = await db.projects.create({ name: 'mine' });
  const theirs = await db.projects.create({ name: 'theirs' });
  expect(await db.projects.visibleProjectIds(user)).toEqual([]);
  const member = await db.projectMembers.add({ projectId: mine.id, userId: user.id, role: 'viewer' });
  expect(member).toMatchObject({ email: 'm@example.com', role: 'viewer' });
  expect(await db.projects.visibleProjectIds(user)).toEqual([mine.id]);
  expect(await db.projects.visibleProjectIds({ ...user, role: 'admin' })).toBe('all');

  const request = { page: 1, perPage: 50 };
  const seen = await db.projects.list({ ...request, scope: [mine.id] });
  expect(seen).toMatchObject({ total: 1, items: [{ name: 'mine' }] });
  expect((await db.projects.list({ ...request, scope: [] })).total).toBe(0);
  expect((await db.projects.list({ ...request, scope: 'all' })).items[0]).toEqual(theirs);

  await expect(db.projectMembers.add({ projectId: mine.id, userId: user.id, role })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: 'This user is a member of the project already.',
  });
  await expect(db.projectMembers.add({ projectId: mine.id, userId: v7(), role })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: 'The user does not exist; check the user id.',
  });
  expect(await db.projectMembers.update(mine.id, user.id, { role })).toMatchObject({ role });
  expect(await db.projectMembers.roleOf(mine.id, user.id)).toBe(role);
  expect(await db.projectMembers.roleOf(theirs.id, user.id)).toBeNull();
  expect(await db.projectMembers.list(mine.id)).toHaveLength(1);
  expect(await db.projectMembers.remove(mine.id, user.id)).toBe(true);
  expect(await db.projectMembers.remove(mine.id, user.id)).toBe(false);
  expect(await db.projectMembers.update(mine.id, user.id, { role })).toBeNull();
});

test('a project goes only when nothing of worth is in it', async () => {
  const { id } = await db.projects.create({ name: 'full' });
  const server = await db.servers.create(serverDraft({ projectId: id }));
  await expect(db.projects.delete(id)).rejects.toMatchObject({ message: expect.stringContaining('servers') });
  await db.servers.delete(server.id);

  const destination = await db.destinations.create(destinationDraft());
  const backup = { projectId: id, destinationId: destination.id };
  const backupId = await insertBackup(db.prisma, { ...backup, status: 'partial' });
  await expect(db.projects.delete(id)).rejects.toMatchObject({ message: expect.stringContaining('backups') });
  await db.prisma.backup.update({ where: { id: backupId }, data: { status: 'deleted' } });

  const jobId = await insertJob(db.prisma, { projectId: id, backupId, ended: false });
  await expect(db.projects.delete(id)).rejects.toMatchObject({
    message: expect.stringContaining('running jobs'),
  });
  await db.prisma.job.update({ where: { id: jobId }, data: { state: 'failed', endedAt: new Date() } });

  expect(await db.projects.delete(id)).toBe(true);
  expect(await db.prisma.backup.count({ where: { id: backupId } })).toBe(0);
  expect(await db.prisma.job.count({ where: { id: jobId } })).toBe(0);
});

test('a server that is added while its project goes makes one of the two fail', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { id } = await db.projects.create({ name: `race ${round}` });
    const [removed, added] = await Promise.allSettled([
      db.projects.delete(id),
      db.servers.create(serverDraft({ projectId: id })),
    ]);
    expect([removed.status, added.status].sort()).toEqual(['fulfilled', 'rejected']);
  }
});
