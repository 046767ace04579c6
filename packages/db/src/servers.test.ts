import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { insertJob, serverDraft, serviceDraft } from './testing/drafts.ts';
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

test('what is stored comes back as it was', async () => {
  const draft = serverDraft({
    projectId,
    name: 'web',
    becomeMethod: 'sudo',
    environment: 'staging',
    id: v7(),
  });
  const server = await db.servers.create(draft);
  expect(server).toMatchObject(draft);
  expect(server).toMatchObject({ tools: null, lastSeenAt: null });
  expect(await db.servers.get(server.id)).toEqual(server);
  await expect(db.servers.create(serverDraft({ projectId, name: 'web' }))).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('server with this name'),
  });
  const changed = await db.servers.update(server.id, { host: 'other.example.com', sealed: null });
  expect(changed).toEqual({
    ...server,
    host: 'other.example.com',
    sealed: null,
    updatedAt: expect.any(Date),
  });
  expect(await db.servers.update(v7(), { port: 2222 })).toBeNull();
});

test('a local server needs no address, an ssh server does', async () => {
  const nothing = { host: null, port: null, username: null, authType: 'none', sealed: null } as const;
  const local = await db.servers.create(serverDraft({ projectId, kind: 'local', ...nothing }));
  expect(local).toMatchObject({ kind: 'local', host: null });
  await expect(db.servers.create(serverDraft({ projectId, ...nothing }))).rejects.toMatchObject({
    code: 'INTERNAL',
  });
});

test('lists show only what may be seen', async () => {
  const other = await db.projects.create({ name: 'other' });
  const server = await db.servers.create(serverDraft({ projectId: other.id, pool: 'far' }));
  const request = { page: 1, perPage: 50 };
  expect((await db.servers.list({ ...request, scope: [other.id] })).items).toEqual([server]);
  expect((await db.servers.list({ ...request, scope: [] })).total).toBe(0);
  expect((await db.servers.list({ ...request, scope: [projectId], projectId: other.id })).total).toBe(0);
  expect((await db.servers.list({ ...request, scope: 'all', pool: 'far' })).items).toEqual([server]);
  expect((await db.servers.list({ ...request, scope: 'all' })).items[0]).toEqual(server);
  expect(await db.servers.getMany([server.id, v7()])).toEqual([server]);
});

test('the first fingerprint that is seen is pinned, no later one', async () => {
  const { id } = await db.servers.create(serverDraft({ projectId }));
  const at = new Date('2026-01-02T03:04:05.678Z');
  await db.servers.recordTest(id, { tools: { tar: 'tar 1.34', bsdtar: null }, at, fingerprint: 'SHA256:a' });
  await db.servers.recordTest(id, { tools: { tar: 'tar 1.35' }, at, fingerprint: 'SHA256:b' });
  expect(await db.servers.get(id)).toMatchObject({
    hostKeyFingerprint: 'SHA256:a',
    tools: { tar: 'tar 1.35' },
    lastSeenAt: at,
  });
});

test('a re-sealed box replaces only the one it was made from', async () => {
  const before = { v: 1, keyId: 'old', enc: 'AAAA', ct: 'BBBB' } as const;
  const after = { ...before, keyId: 'new', ct: 'CCCC' };
  const { id } = await db.servers.create(serverDraft({ projectId, pool: 'sealed', sealed: before }));
  expect((await db.servers.sealedWithOtherKey('sealed', 'new')).map((server) => server.id)).toEqual([id]);
  expect(await db.servers.sealedWithOtherKey('sealed', 'old')).toEqual([]);
  expect(await db.servers.reseal(id, { before: { ...before, ct: 'XXXX' }, after })).toBe(false);
  // In any order of keys: it is the same box.
  const { v, keyId, enc, ct } = before;
  expect(await db.servers.reseal(id, { before: { ct, enc, keyId, v }, after })).toBe(true);
  expect((await db.servers.get(id))?.sealed).toEqual(after);
});

test('a jump host stays while others need it', async () => {
  const jump = await db.servers.create(serverDraft({ projectId, name: 'jump' }));
  const inner = await db.servers.create(serverDraft({ projectId, jumpId: jump.id }));
  expect(await db.servers.jumpingThrough(jump.id)).toEqual([inner]);
  await expect(db.servers.delete(jump.id)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('another jump host'),
  });
  expect(await db.servers.delete(inner.id)).toBe(true);
  expect(await db.servers.delete(jump.id)).toBe(true);
  expect(await db.servers.delete(jump.id)).toBe(false);
});

test('a server goes with its services, but not while a job works on one', async () => {
  const server = await db.servers.create(serverDraft({ projectId }));
  const service = await db.services.create(serviceDraft({ serverId: server.id, name: 'mysql' }));
  const jobId = await insertJob(db.prisma, { projectId, ended: false });
  await db.prisma.serviceLease.create({ data: { serviceId: service.id, jobId, kind: 'backup' } });
  await expect(db.servers.delete(server.id)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('mysql'),
  });
  await expect(db.services.delete(service.id)).rejects.toMatchObject({ code: 'CONFLICT' });
  await db.prisma.serviceLease.deleteMany();
  expect(await db.servers.delete(server.id)).toBe(true);
  expect(await db.services.get(service.id)).toBeNull();
});
