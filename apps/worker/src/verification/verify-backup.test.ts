import { createHash } from 'node:crypto';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createMemberStream } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import { makeNastyTree } from '@tarfleet/testbed';
import { flipped, watched } from '../archives/testing-backups.ts';
import { keyring, openWorld, type StoredBackup, type World } from './testing-world.ts';

let w: World;
beforeEach(async () => {
  w = await openWorld();
});
afterEach(() => w.close());

/** Beyond what counts as just changed. */
const settle = () => sleep(3_100);
const passed = 'passed' as const;
const skipped = 'skipped' as const;
const ALL = { checksum: passed, contents: passed, encryption: passed, compression: passed, metadata: passed };

/** A full backup and an incremental one on it. */
async function chain(encrypt = true): Promise<[StoredBackup, StoredBackup]> {
  await makeNastyTree(w.tree);
  await settle();
  const full = await w.backUp({ encrypt });
  await appendFile(join(w.tree, 'hard-1'), 'more');
  await rm(join(w.tree, 'with space'));
  await writeFile(join(w.tree, 'fresh'), 'fresh');
  const later = await w.backUp({ encrypt, parent: full });
  expect(later.manifest.artifacts[0]?.ancestors).toHaveLength(1);
  return [full, later];
}

test.each([true, false])(
  'what is sound is sound at each level (encrypted: %s)',
  async (encrypt) => {
    const [full, later] = await chain(encrypt);
    for (const backup of [full, later]) {
      const files = backup.manifest.artifacts[0]!.index!.files;
      const ancestors = backup === later ? [full] : [];
      const sound = { valid: true, narrowed: false, issues: [], lacking: [], damagedAncestors: [] };
      const quick = await w.verify(backup);
      expect(quick).toMatchObject({ ...sound, level: 'quick' });
      expect(quick.checks).toEqual({
        ...{ ...ALL, contents: skipped, compression: skipped },
        encryption: encrypt ? passed : skipped,
      });
      expect(quick.services).toMatchObject([{ filesVerified: null, missingFiles: null, restored: skipped }]);
      for (const level of ['deep', 'test_restore'] as const) {
        const result = await w.verify(backup, { level, ancestors });
        expect(result).toMatchObject(sound);
        expect(result.checks).toEqual({ ...ALL, encryption: encrypt ? passed : skipped });
        expect(result.services).toMatchObject([{ filesVerified: files, missingFiles: 0, corruptedFiles: 0 }]);
        expect(result.services[0]?.restored).toBe(level === 'deep' ? skipped : passed);
        expect(result.objects.map(({ key }) => key)).toEqual([
          w.object(backup, 'archive'),
          w.object(backup, 'index'),
          ...ancestors.map((one) => w.object(one, 'archive')),
        ]);
        expect(await w.left()).toEqual([]);
      }
    }
  },
  120_000,
);

test.each([true, false])(
  'a flipped byte is found at each level (encrypted: %s)',
  async (encrypt) => {
    await makeNastyTree(w.tree);
    const full = await w.backUp({ encrypt });
    const key = w.object(full, 'archive');
    const bytes = await w.read(key);
    await w.write(key, flipped(bytes, bytes.length >> 1));
    const quick = await w.verify(full);
    expect(quick).toMatchObject({ valid: false, issues: [expect.stringMatching(/SHA-256 differs/)] });
    expect(quick.checks).toMatchObject({ checksum: 'failed', contents: skipped });
    const deep = await w.verify(full, { level: 'test_restore' });
    expect(deep).toMatchObject({ valid: false, checks: { checksum: 'failed', contents: 'failed' } });
    expect(deep.checks[encrypt ? 'encryption' : 'compression']).toBe('failed');
    expect(deep.services[0]!.corruptedFiles).toBeGreaterThan(0);
    expect(deep.services[0]!.restored).toBe(skipped);
  },
  60_000,
);

test('one file that is not as the index says is found by its name among many', async () => {
  await mkdir(w.tree);
  for (let n = 0; n < 300; n += 1) await writeFile(join(w.tree, `file-${n}`), `content of ${n}!`);
  const full = await w.backUp({ encrypt: false, compress: false });
  const key = w.object(full, 'archive');
  const tar = gunzipSync(await w.read(key));
  tar.write('contend', tar.indexOf('content of 77!'));
  const chunks: Buffer[] = [];
  const gzip = createMemberStream({ enabled: false, level: 6, parallel: 1 }, new AbortController().signal);
  gzip.end(tar);
  for await (const chunk of gzip) chunks.push(chunk as Buffer);
  await w.write(key, Buffer.concat(chunks));
  const sha256 = createHash('sha256').update(Buffer.concat(chunks)).digest('hex');
  const forged = await w.rewrite(full, (manifest) => {
    const [artifact] = manifest.artifacts;
    return { ...manifest, artifacts: [{ ...artifact!, object: { ...artifact!.object, sha256 } }] };
  });
  expect(await w.verify(forged)).toMatchObject({ valid: true });
  const deep = await w.verify(forged, { level: 'deep' });
  expect(deep).toMatchObject({ valid: false, checks: { ...ALL, encryption: skipped, contents: 'failed' } });
  expect(deep.issues).toEqual([expect.stringContaining(`app: ${join(w.tree, 'file-77')}: `)]);
  expect(deep.services).toMatchObject([{ filesVerified: 299, corruptedFiles: 1, missingFiles: 0 }]);
}, 60_000);

test("another backup's index in the place of this one's", async () => {
  const [full, later] = await chain();
  await w.write(w.object(full, 'index'), await w.read(w.object(later, 'index')));
  expect(await w.verify(full)).toMatchObject({ valid: false, checks: { checksum: 'failed' } });
  const deep = await w.verify(full, { level: 'deep' });
  expect(deep).toMatchObject({ valid: false, checks: { checksum: 'failed', metadata: 'failed' } });
  expect(deep.services[0]).toMatchObject({ filesVerified: null });
}, 60_000);

test('a damaged ancestor under a sound incremental: quick passes, deep names the ancestor', async () => {
  const [full, later] = await chain();
  const key = w.object(full, 'archive');
  const bytes = await w.read(key);
  await w.write(key, flipped(bytes, 200));
  expect(await w.verify(later)).toMatchObject({ valid: true });
  const deep = await w.verify(later, { level: 'deep', ancestors: [full] });
  expect(deep).toMatchObject({ valid: false, damagedAncestors: [full.backupId] });
  expect(deep.issues[0]).toMatch(
    new RegExp(`The backup ${full.backupId}, which this one builds on: .*SHA-256`),
  );
  expect(deep.objects.at(-1)).toMatchObject({ key, status: 'checksum_mismatch' });

  await w.stored.storage.delete(key, new AbortController().signal);
  const gone = await w.verify(later, { level: 'deep', ancestors: [full] });
  expect(gone).toMatchObject({ valid: false, damagedAncestors: [full.backupId] });
  expect(gone.services[0]!.missingFiles).toBeGreaterThan(20);
  expect(gone.services[0]!.filesVerified).toBeGreaterThan(0);
  expect(gone.services[0]!.corruptedFiles).toBe(0);

  await w.write(key, bytes);
  const changed = await w.rewrite(full, (manifest) => ({ ...manifest, name: 'another' }));
  const other = await w.verify(later, { level: 'deep', ancestors: [full] });
  expect(other.issues).toEqual([expect.stringMatching(/builds on: .*changed or replaced/)]);
  // Without a record of it, the key tells.
  const forged = await w.verify(later, { level: 'deep' });
  expect(forged.issues).toEqual([expect.stringMatching(/builds on: .*manifest was changed/)]);
  expect(forged.damagedAncestors).toEqual([changed.backupId]);
}, 60_000);

test('a key that the worker lacks is no fault of the backup; one that is gone is', async () => {
  const [full, later] = await chain();
  const far = { keys: keyring('other'), level: 'deep' } as const;
  for (const backup of [full, later]) {
    await expect(w.verify(backup, far)).rejects.toMatchObject({ code: 'ENCRYPTION_KEY_NOT_FOUND' });
    expect(await w.verify(backup, { keys: keyring('other') })).toMatchObject({ valid: true });
  }
  const { signal } = new AbortController();
  const key = `${w.object(full, 'archive')}.key.main.json`;
  const text = await w.read(key);
  await w.stored.storage.delete(key, signal);
  for (const level of ['quick', 'deep'] as const) {
    const result = await w.verify(full, { level });
    expect(result).toMatchObject({ valid: false, checks: { checksum: passed, encryption: 'failed' } });
    expect(result.issues[0]).toMatch(/key .*is gone/);
  }
  expect(await w.verify(later, { level: 'deep' })).toMatchObject({ valid: false });
  await w.write(key, text);
  // The ancestor's key alone is missing.
  await w.write(key.replace('main', 'other'), text);
  await w.stored.storage.delete(key, signal);
  await expect(w.verify(later, { level: 'deep' })).rejects.toMatchObject({
    code: 'ENCRYPTION_KEY_NOT_FOUND',
  });
}, 60_000);

test('a manifest that is gone or changed is all that is looked at', async () => {
  await makeNastyTree(w.tree);
  const full = await w.backUp();
  const changed = await w.rewrite(full, (manifest) => ({ ...manifest, name: 'another' }));
  const result = await w.verify(full);
  expect(result).toMatchObject({
    valid: false,
    services: [],
    checks: { checksum: skipped, metadata: 'failed' },
  });
  // Changed together with the record: the key tells.
  expect(await w.verify(changed)).toMatchObject({ valid: true });
  expect(await w.verify(changed, { level: 'deep' })).toMatchObject({
    ...{ valid: false, issues: [expect.stringMatching(/manifest was changed/)] },
  });
  await w.stored.storage.delete(`${full.keyPrefix}/manifest.json`, new AbortController().signal);
  expect(await w.verify(full)).toMatchObject({ valid: false, issues: [expect.stringMatching(/is gone/)] });
}, 60_000);

test('counts that are not the manifest’s', async () => {
  await makeNastyTree(w.tree);
  const full = await w.backUp({ encrypt: false });
  const forged = await w.rewrite(full, (manifest) => {
    const [artifact] = manifest.artifacts;
    return { ...manifest, artifacts: [{ ...artifact!, index: { ...artifact!.index!, files: 3 } }] };
  });
  const result = await w.verify(forged, { level: 'deep' });
  expect(result).toMatchObject({ valid: false, checks: { contents: passed, metadata: 'failed' } });
  expect(result.issues).toEqual([expect.stringMatching(/as its files, the manifest 3/)]);
}, 60_000);

test('an archive of version 1 is read from the beginning to the end', async () => {
  await makeNastyTree(w.tree);
  const full = await w.backUp({ encrypt: false });
  const old = await w.rewrite(full, (manifest) => {
    const artifacts = manifest.artifacts.map(({ index: _i, parent: _p, ancestors: _a, ...rest }) => rest);
    return { ...manifest, version: 1, artifacts };
  });
  for (const level of ['quick', 'deep', 'test_restore'] as const) {
    const result = await w.verify(old, { level });
    expect(result).toMatchObject({ valid: true, issues: [] });
    expect(result.services).toMatchObject([
      { filesVerified: level === 'quick' ? null : old.manifest.artifacts[0]!.files },
    ]);
  }
  expect(await w.left()).toEqual([]);
  const key = w.object(full, 'archive');
  const bytes = await w.read(key);
  await w.write(key, flipped(bytes, bytes.length - 2000));
  const damaged = await w.verify(old, { level: 'deep' });
  expect(damaged).toMatchObject({ valid: false, checks: { contents: 'failed' } });
  expect(damaged.services).toMatchObject([{ corruptedFiles: 1, restored: skipped }]);
}, 60_000);

async function twoServices(): Promise<StoredBackup> {
  const other = join(w.dir, 'other');
  await makeNastyTree(w.tree);
  await makeNastyTree(other);
  return w.backUp({ services: { app: w.tree, mail: other } });
}

test('some components: the rest is not looked at', async () => {
  const both = await twoServices();
  await w.write(w.object(both, 'archive', 1), Buffer.from('cut'));
  const one = await w.verify(both, { level: 'deep', services: ['app'] });
  expect(one).toMatchObject({ valid: true, narrowed: true, services: [{ component: 'app' }] });
  const all = await w.verify(both);
  expect(all).toMatchObject({ valid: false, narrowed: false });
  expect(all.services.map(({ checks }) => checks.checksum)).toEqual([passed, 'failed']);
  const none = await w.verify(both, { services: ['zoo'] });
  expect(none).toMatchObject({ valid: false, issues: [expect.stringMatching(/does not name/)] });
}, 60_000);

test('an attempt that was broken off is taken up behind the services that it had finished', async () => {
  const both = await twoServices();
  const second = w.object(both, 'archive', 1);
  const away = new AppError('DESTINATION_UNREACHABLE', 'away', { retryable: true });
  const broken = w.verify(both, {
    level: 'deep',
    storage: (real) => ({
      ...real,
      get: (key, options) => (key === second ? Promise.reject(away) : real.get(key, options)),
    }),
  });
  await expect(broken).rejects.toBe(away);
  expect(await w.left()).toEqual([expect.stringMatching(/^tarfleet-verified-.*\.json$/)]);
  const seen = watched(w.stored.storage);
  const result = await w.verify(both, {
    level: 'deep',
    storage: () => ({ ...seen.storage, close: async () => undefined }),
  });
  expect(result).toMatchObject({ valid: true, services: [{ component: 'app' }, { component: 'mail' }] });
  expect(await seen.closed(w.object(both, 'archive', 0))).toBe(0);
  expect(await seen.closed(second)).toBeGreaterThan(0);
  expect(await w.left()).toEqual([]);
}, 60_000);
