import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { IndexEntry, Manifest } from '@tarfleet/archive';
import type { ArtifactPlan } from '@tarfleet/contracts';
import type { Keyring } from '@tarfleet/vault';
import { openTestStorage, uuid } from '../testing.ts';
import { keyOf } from './archive-names.ts';
import { openParent } from './parent.ts';
import {
  flipped,
  keyringOf,
  planOf,
  putManifest,
  read,
  type TestBackup,
  takeBackup,
  watched,
  write,
} from './testing-backups.ts';

const { signal } = new AbortController();
const corrupted = expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' });
const both = keyringOf('old', 'new');

let t: Awaited<ReturnType<typeof openTestStorage>>;
let deps: { storage: typeof t.storage; keyring: Keyring };
let dir = '';
let root = '';
beforeEach(async () => {
  t = await openTestStorage();
  deps = { storage: t.storage, keyring: both };
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-parent-'));
  root = join(dir, 'srv');
  await mkdir(root);
  for (const name of ['a', 'b', 'c']) await writeFile(join(root, name), name.repeat(1000));
});
afterEach(async () => {
  await t.close();
  await rm(dir, { recursive: true, force: true });
});

const next = (more: Partial<ArtifactPlan> = {}) => planOf(root, 9, more);

async function all(backup: TestBackup, plan = next(), from = deps): Promise<IndexEntry[]> {
  const parent = await openParent(from, plan, backup.ref, signal);
  const entries: IndexEntry[] = [];
  for await (const batch of parent.entries) entries.push(...batch.map(({ entry }) => entry));
  return entries;
}
const names = (entries: IndexEntry[]) =>
  entries.map(({ path, at }) => [path.toString().slice(root.length), at.archive]);

describe('what a new archive is compared with', () => {
  test('a full backup: its archive is the first behind the new one', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const parent = await openParent(deps, next(), full.ref, signal);
    expect(parent.ref).toEqual({ backupId: uuid(10), artifactId: uuid(11) });
    expect(parent.archives.map((one) => keyOf(next().keyPrefix, one))).toEqual([full.archiveKey]);
    expect(parent.archives[0]?.name).toBe(`../../2026-01-01/${uuid(10)}/${uuid(11)}/1-abc.tar.gz`);
    expect(parent.members).toEqual([[0]]);
    await parent.entries.return(undefined);
    expect(names(await all(full))).toEqual([
      ['', 1],
      ['/a', 1],
      ['/b', 1],
      ['/c', 1],
    ]);
  });

  test('an incremental one: its own archive, then those that it still needs', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const second = await takeBackup(deps, { number: 2, root, parent: full, changed: ['b'] });
    const third = await takeBackup(deps, { number: 3, root, parent: second, changed: ['c'] });
    const parent = await openParent(deps, next(), third.ref, signal);
    expect(parent.archives.map((one) => keyOf(next().keyPrefix, one))).toEqual([
      third.archiveKey,
      second.archiveKey,
      full.archiveKey,
    ]);
    await parent.entries.return(undefined);
    expect(names(await all(third))).toEqual([
      ['', 3],
      ['/a', 3],
      ['/b', 2],
      ['/c', 1],
    ]);
  });

  test('archives that nothing points into any more are left out, and may be gone', async () => {
    const full = await takeBackup(deps, { number: 1, root, keyName: 'old' });
    const middle = { number: 2, root, parent: full, changed: ['', 'a', 'b'], keyName: 'new' };
    const second = await takeBackup(deps, middle);
    const third = await takeBackup(deps, { number: 3, root, parent: second, changed: ['c'], keyName: 'new' });
    expect(third.manifest.artifacts[0]?.ancestors).toEqual([{ backupId: uuid(20), artifactId: uuid(21) }]);
    for (const key of await t.keys(full.ref.keyPrefix)) await t.storage.delete(key, signal);
    const plan = next({ encryption: { keyName: 'new' } });
    const from = { ...deps, keyring: keyringOf('new') };
    const parent = await openParent(from, plan, third.ref, signal);
    expect(parent.archives.map(({ backupId }) => backupId)).toEqual([uuid(30), uuid(20)]);
    expect(parent.members).toHaveLength(2);
    await parent.entries.return(undefined);
    expect(names(await all(third, plan, from))).toEqual([
      ['', 2],
      ['/a', 2],
      ['/b', 2],
      ['/c', 1],
    ]);
  });
});

describe('what cannot be compared with is BACKUP_CORRUPTED', () => {
  test('other paths, other excludes, encrypted where the new one is not', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const { service } = next();
    const others: Partial<ArtifactPlan>[] = [
      { service: { ...service, dataPaths: [root, '/etc'] } },
      { service: { ...service, dataPaths: [] } },
      { service: { ...service, configPaths: ['/etc'] } },
      { service: { ...service, dataPaths: [`${root}/`] } },
      { service: { ...service, exclude: [] } },
      { service: { ...service, exclude: ['*.tmp', 'cache'] } },
      { encryption: { keyName: 'new' } },
    ];
    for (const more of others) {
      await expect(openParent(deps, next(more), full.ref, signal)).rejects.toEqual(corrupted);
    }
    const secret = await takeBackup(deps, { number: 2, root, keyName: 'new' });
    await expect(openParent(deps, next(), secret.ref, signal)).rejects.toEqual(corrupted);
    await expect(openParent(deps, next(), { ...full.ref, artifactId: uuid(99) }, signal)).rejects.toEqual(
      corrupted,
    );
  });

  test('a manifest that was changed, is of another backup, or is gone', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const key = `${full.ref.keyPrefix}/manifest.json`;
    const bytes = await read(t.storage, key);
    const open = (ref = full.ref) => openParent(deps, next(), ref, signal);
    for (const at of [0, 20, bytes.length >> 1, bytes.length - 1]) {
      await write(t.storage, key, flipped(bytes, at));
      await expect(open()).rejects.toEqual(corrupted);
    }
    await write(t.storage, key, bytes.subarray(0, -1));
    await expect(open()).rejects.toEqual(corrupted);
    await write(t.storage, key, bytes);
    await expect(open({ ...full.ref, backupId: uuid(99) })).rejects.toEqual(corrupted);
    await t.storage.delete(key, signal);
    await expect(open()).rejects.toEqual(corrupted);
  });

  test.each([
    ['plain', undefined],
    ['encrypted', 'new'],
  ])('a flipped byte, or a cut, of its index (%s)', async (_what, keyName) => {
    const full = await takeBackup(deps, { number: 1, root, ...(keyName ? { keyName } : {}) });
    const plan = next({ encryption: keyName ? { keyName } : null });
    const bytes = await read(t.storage, full.indexKey);
    expect(await all(full, plan)).toHaveLength(4);
    for (let at = 0; at < bytes.length; at += 5) {
      await write(t.storage, full.indexKey, flipped(bytes, at));
      await expect(all(full, plan)).rejects.toEqual(corrupted);
      await write(t.storage, full.indexKey, bytes.subarray(0, at));
      await expect(all(full, plan)).rejects.toEqual(corrupted);
    }
    await t.storage.delete(full.indexKey, signal);
    await expect(all(full, plan)).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
  });

  const changeArtifact = async (
    backup: TestBackup,
    change: (artifact: Manifest['artifacts'][number]) => Partial<Manifest['artifacts'][number]>,
  ): Promise<TestBackup> => {
    const artifacts = backup.manifest.artifacts.map((one) => ({ ...one, ...change(one) }));
    const manifest = { ...backup.manifest, artifacts };
    const manifestSha256 = await putManifest(t.storage, backup.ref.keyPrefix, manifest);
    return { ...backup, ref: { ...backup.ref, manifestSha256 } };
  };

  test('the index of another backup in the place of its own', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const other = await takeBackup(deps, { number: 2, root });
    await write(t.storage, full.indexKey, await read(t.storage, other.indexKey));
    const { index } = other.place.artifact;
    const swapped = await changeArtifact(full, (one) => ({
      index: one.index && index && { ...index, name: one.index.name },
    }));
    const { storage, closed } = watched(t.storage, full.indexKey);
    await expect(openParent({ ...deps, storage }, next(), swapped.ref, signal)).rejects.toThrow(
      /belongs to another backup/,
    );
    expect(await closed(full.indexKey)).toBe(1);
  });

  test('entries in an archive that its manifest does not name', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const second = await takeBackup(deps, { number: 2, root, parent: full, changed: ['b'] });
    await expect(all(await changeArtifact(second, () => ({ ancestors: [] })))).rejects.toThrow(
      /its manifest does not name/,
    );
  });

  test('a backup of the first version, which has no index', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    await expect(all(await changeArtifact(full, () => ({ index: null })))).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
    });
  });
});

describe('keys', () => {
  test('a missing one is named, its own and an ancestor alike, before anything is compared', async () => {
    const full = await takeBackup(deps, { number: 1, root, keyName: 'old' });
    const second = await takeBackup(deps, { number: 2, root, parent: full, changed: ['b'], keyName: 'new' });
    const plan = next({ encryption: { keyName: 'new' } });
    expect(await all(second, plan)).toHaveLength(4);
    for (const [has, lacks] of [
      ['new', 'old'],
      ['old', 'new'],
    ] as const) {
      const { storage, closed } = watched(t.storage);
      await expect(
        openParent({ storage, keyring: keyringOf(has) }, plan, second.ref, signal),
      ).rejects.toMatchObject({
        code: 'ENCRYPTION_KEY_NOT_FOUND',
        details: { keys: [lacks] },
      });
      expect(await closed(second.indexKey)).toBe(has === 'new' ? 1 : 0);
    }
  });
});

test('the index is closed whenever its reader leaves', async () => {
  const full = await takeBackup(deps, { number: 1, root });
  const { storage, closed } = watched(t.storage, full.indexKey);
  const unread = await openParent({ ...deps, storage }, next(), full.ref, signal);
  await unread.entries.return(undefined);
  const begun = await openParent({ ...deps, storage }, next(), full.ref, signal);
  for await (const _ of begun.entries) break;
  expect(await closed(full.indexKey)).toBe(2);
});
