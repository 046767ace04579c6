// What a restore of whole services leaves as it is, because no backup holds it.
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { RestorePlan } from '@tarfleet/contracts';
import { createRestoreProcessor } from '../processors/restore.ts';
import { keepingReporter, silent, uuid } from '../testing.ts';
import { openWorld, type StoredBackup, type World } from '../verification/testing-world.ts';

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

async function restore(
  { backupId, keyPrefix, manifestSha256 }: StoredBackup,
  more: Partial<RestorePlan> = {},
): Promise<void> {
  const plan: RestorePlan = {
    ...{ v: 1, kind: 'restore', jobId: randomUUID(), pool: 'default', projectId: 1, requestId: 'r' },
    ...{ issuedAt: '2026-01-01T00:00:00.000Z', backupId, keyPrefix, manifestSha256 },
    server: { id: uuid(700), projectId: 1, name: 'here', kind: 'local', pool: 'default' },
    ...{ destination: world.stored.target, serviceIds: [world.serviceId('app')] },
    ...{ restorePath: null, paths: null, overwrite: true, verifyIntegrity: false, healthChecks: false },
    ...{ services: [], stopOrder: [], startOrder: [], keep: [], rollback: true, keepHours: 0 },
    ...more,
  };
  const delivery = {
    ...{ attempt: 1001, token: 'abcdefabcdef', assertOwned: async () => undefined },
    childOutcomes: async () => new Map(),
  };
  const { report } = keepingReporter('restore');
  await createRestoreProcessor(world.deps)({
    ...{ signal: new AbortController().signal, progress: () => undefined, log: silent },
    ...{ plan, report, delivery },
  });
}

test.each(['tree', 'link'])('a destination below %s stays, whatever the restore is told', async (way) => {
  const daily = join(world.tree, 'daily');
  await mkdir(daily, { recursive: true });
  await symlink(world.tree, join(world.dir, 'link'));
  await writeFile(join(world.tree, 'data'), 'old');
  await writeFile(join(daily, 'one'), 'one');
  const backup = await world.backUp({
    services: { app: world.tree },
    destinationFolders: [{ name: 'daily', path: join(world.dir, way, 'daily') }],
  });
  await writeFile(join(world.tree, 'data'), 'new');
  await writeFile(join(daily, 'two'), 'two');
  await restore(backup);
  expect(await readFile(join(world.tree, 'data'), 'utf8')).toBe('old');
  expect(await readFile(join(daily, 'one'), 'utf8')).toBe('one');
  expect(await readFile(join(daily, 'two'), 'utf8')).toBe('two');
  // Where it is gone, nothing is made in its place.
  await rm(daily, { recursive: true });
  await restore(backup);
  await expect(readFile(join(daily, 'one'))).rejects.toThrow('ENOENT');
});

test('where the emergency backup found nothing, only nothing is replaced', async () => {
  const { tree } = world;
  const link = join(world.dir, 'current');
  await mkdir(tree);
  await symlink(tree, link);
  await writeFile(join(tree, 'data'), 'old');
  const backup = await world.backUp({ services: { app: link } });
  await rm(link);
  await writeFile(join(tree, 'data'), 'never saved');
  const refused = restore(backup, { unsaved: [world.serviceId('app')] });
  await expect(refused).rejects.toMatchObject({
    ...{ code: 'CONFLICT', message: expect.stringContaining(`something at ${tree} now`) },
  });
  expect(await readFile(join(tree, 'data'), 'utf8')).toBe('never saved');
  await expect(readFile(join(link, 'data'))).rejects.toThrow('ENOENT');
  await restore(backup, { unsaved: [world.serviceId('other')] });
  await rm(tree, { recursive: true });
  await rm(link);
  await restore(backup, { unsaved: [world.serviceId('app')] });
  expect(await readFile(join(link, 'data'), 'utf8')).toBe('old');
});
