import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import type { ServerRecord } from './servers.ts';
import { serverDraft, serviceDraft } from './testing/drafts.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;
let server: ServerRecord;

beforeAll(async () => {
  db = await openMigratedDatabase();
  const project = await db.projects.create({ name: 'services' });
  server = await db.servers.create(serverDraft({ projectId: project.id }));
});

afterAll(async () => {
  await db.close();
});

test('paths of any characters and settings come back as they were', async () => {
  const draft = serviceDraft({
    serverId: server.id,
    dataPaths: ['/a\nb', "/it's", '/null', '/ä €', '/{x},"y"', '/back\\slash', ''],
    settings: { stop: { argv: ['systemctl', 'stop', 'x'] }, deep: [{ a: null }] },
    dependsOn: ['database'],
  });
  const service = await db.services.create(draft);
  expect(service).toMatchObject(draft);
  expect(await db.services.get(service.id)).toEqual(service);
  const changed = await db.services.update(service.id, { exclude: ['*.tmp'], settings: {} });
  expect(changed).toEqual({ ...service, exclude: ['*.tmp'], settings: {}, updatedAt: expect.any(Date) });
  expect(await db.services.delete(service.id)).toBe(true);
  expect(await db.services.delete(service.id)).toBe(false);
  expect(await db.services.update(service.id, {})).toBeNull();
});

test('a name is taken on one server, free on the next', async () => {
  const other = await db.servers.create(serverDraft({ projectId: server.projectId }));
  await db.services.create(serviceDraft({ serverId: server.id, name: 'nginx' }));
  await db.services.create(serviceDraft({ serverId: other.id, name: 'nginx' }));
  await expect(
    db.services.create(serviceDraft({ serverId: server.id, name: 'nginx' })),
  ).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('service with this name'),
  });
  await expect(db.services.create(serviceDraft({ serverId: v7() }))).rejects.toMatchObject({
    code: 'CONFLICT',
    message: 'The server does not exist any more.',
  });
});

test("a project's services come with their servers, the highest priority first", async () => {
  const project = await db.projects.create({ name: 'ordered' });
  const [a, b] = [
    await db.servers.create(serverDraft({ projectId: project.id, name: 'a' })),
    await db.servers.create(serverDraft({ projectId: project.id, name: 'b' })),
  ];
  await db.services.create(serviceDraft({ serverId: a.id, name: 'z', backupPriority: 5 }));
  await db.services.create(serviceDraft({ serverId: b.id, name: 'y', backupPriority: 5 }));
  await db.services.create(serviceDraft({ serverId: a.id, name: 'x', backupPriority: 10 }));
  const found = await db.services.ofProject(project.id);
  expect(found.map((one) => [one.service.name, one.server.name])).toEqual([
    ['x', 'a'],
    ['y', 'b'],
    ['z', 'a'],
  ]);
  expect(found[0]?.server).toEqual(a);
  expect((await db.services.find({ serverId: a.id })).map((one) => one.name)).toEqual(['x', 'z']);
  const page = await db.services.list(a.id, { page: 1, perPage: 1 });
  expect(page).toMatchObject({ total: 2, items: [{ name: 'x' }] });
});
