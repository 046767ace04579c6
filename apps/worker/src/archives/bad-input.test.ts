// What lies at a destination, changed in any way: never taken for what was stored.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Manifest } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { createKeyring, type Keyring, parseKeyringFile } from '@tarfleet/vault';
import { loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac, sealManifest } from '../jobs/manifest-mac.ts';
import { openTestStorage } from '../testing.ts';
import { keyOfArtifact } from './artifact-reader.ts';
import { createTarOpener } from './open-tar.ts';
import { keyringOf, putManifest, read, type TestBackup, takeBackup } from './testing-backups.ts';

const { signal } = new AbortController();
const FLIPS = 1000;

let t: Awaited<ReturnType<typeof openTestStorage>>;
let deps: { storage: Storage; keyring: Keyring };
let dir = '';
let root = '';
const FILES = ['a', 'sub/b', 'sub/c'];
const textOf = (name: string): string => `${name}\n`.repeat(500);
beforeAll(async () => {
  t = await openTestStorage();
  deps = { storage: t.storage, keyring: keyringOf('main') };
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-bad-input-'));
  root = join(dir, 'srv');
  await mkdir(join(root, 'sub'), { recursive: true });
  for (const name of FILES) await writeFile(join(root, name), textOf(name));
  await symlink('a', join(root, 'sub/to-a'));
});
afterAll(async () => {
  await t.close();
  await rm(dir, { recursive: true, force: true });
});

/** The destination, but with these bytes in the place of one object; `told` is the length that it states. */
function withBytes(key: string, bytes: Buffer, told = bytes.length): Storage {
  return {
    ...t.storage,
    async stat(asked, given) {
      const found = await t.storage.stat(asked, given);
      return asked === key && found ? { ...found, bytes: told } : found;
    },
    async get(asked, options) {
      if (asked !== key) return t.storage.get(asked, options);
      const { start = 0, length = bytes.length } = options;
      return Readable.from([bytes.subarray(start, start + length)], { objectMode: false });
    },
  };
}

/** All of a backup's tar, or of what came out before the fault; as a restore without a check beforehand reads it. */
async function restored(
  { place, dataKey }: TestBackup,
  more: Partial<TestBackup['place']> = {},
): Promise<{ bytes: Buffer; error: unknown }> {
  const parts: Buffer[] = [];
  try {
    const opener = await createTarOpener({ ...place, ...more }, { dataKey, paths: null }, signal);
    for await (const part of await opener.open()) parts.push(part as Buffer);
    return { bytes: Buffer.concat(parts), error: null };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

/** The same bits in each run. */
function places(bytes: Buffer, count = FLIPS): { at: number; bit: number }[] {
  let seed = 42;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  return Array.from({ length: count }, () => ({ at: next(bytes.length), bit: next(8) }));
}

function flip(bytes: Buffer, { at, bit }: { at: number; bit: number }): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ (1 << bit);
  return changed;
}

describe.each([
  ['plain', undefined],
  ['encrypted', 'main'],
])('a backup that is %s', (how, keyName) => {
  let full: TestBackup;
  let later: TestBackup;
  let other: TestBackup;
  beforeAll(async () => {
    const number = how === 'plain' ? 1 : 4;
    const key = keyName ? { keyName } : {};
    full = await takeBackup(deps, { number, root, ...key });
    later = await takeBackup(deps, { number: number + 1, root, parent: full, changed: ['', 'a'], ...key });
    // Of other contents: else it could be as long to the byte, and differ in nothing but when files were read.
    for (const name of FILES) await writeFile(join(root, name), randomBytes(2_000));
    other = await takeBackup(deps, { number: number + 2, root, ...key });
    for (const name of FILES) await writeFile(join(root, name), textOf(name));
  });

  /** Damage that is named as such, and nothing before it that is not true. */
  async function expectFound(backup: TestBackup, storage: Storage, whole: Buffer): Promise<'found' | 'idle'> {
    const { bytes, error } = await restored(backup, { storage });
    expect(whole.subarray(0, bytes.length).equals(bytes)).toBe(true);
    if (error === null) {
      expect(bytes.length).toBe(whole.length);
      return 'idle';
    }
    expect(error).toMatchObject({ name: 'AppError', code: 'BACKUP_CORRUPTED', retryable: false });
    return 'found';
  }

  /** Own archive, own index, the ancestor's archive; and the archive of a backup without an index. */
  const objects = (): [string, TestBackup, string][] => [
    ['archive', later, later.archiveKey],
    ['index', later, later.indexKey],
    ["ancestor's archive", later, full.archiveKey],
    ['archive without an index', ofVersion1(full), full.archiveKey],
  ];

  test('with one bit flipped, at each of 1,000 places', async () => {
    for (const [what, backup, key] of objects()) {
      const { bytes: whole } = await restored(backup);
      expect(whole.length).toBeGreaterThan(2048);
      const stored = await read(t.storage, key);
      // An archive is an archive, whichever way leads to it.
      const count = what === 'archive' || what === 'index' ? FLIPS : FLIPS / 4;
      let idle = 0;
      for (const place of places(stored, count)) {
        if ((await expectFound(backup, withBytes(key, flip(stored, place)), whole)) === 'idle') idle += 1;
      }
      // Of a plain archive whose ranges are read, a few bits of each member's header say nothing.
      const mayBeIdle = how === 'plain' && (what === 'archive' || what === "ancestor's archive");
      expect([what, idle <= (mayBeIdle ? count / 20 : 0)]).toEqual([what, true]);
    }
  }, 300_000);

  test('cut at any byte, whether or not the destination admits it', async () => {
    for (const [what, backup, key] of objects()) {
      const { bytes: whole } = await restored(backup);
      const stored = await read(t.storage, key);
      for (let length = 0; length < stored.length; length += 1) {
        for (const told of [length, stored.length]) {
          const storage = withBytes(key, stored.subarray(0, length), told);
          expect([what, length, await expectFound(backup, storage, whole)]).toEqual([what, length, 'found']);
        }
      }
    }
  }, 300_000);

  test("with another backup's objects in the place of its own", async () => {
    const whole = (await restored(full)).bytes;
    const theirs = {
      archive: await read(t.storage, other.archiveKey),
      index: await read(t.storage, other.indexKey),
    };
    expect(await expectFound(full, withBytes(full.archiveKey, theirs.archive), whole)).toBe('found');
    expect(await expectFound(full, withBytes(full.indexKey, theirs.index), whole)).toBe('found');
    // Whoever can write there changes the manifest's words of it as well.
    const index = {
      ...other.place.artifact.index,
      name: full.place.artifact.index?.name,
    } as Manifest['artifacts'][0]['index'];
    const artifact = { ...full.place.artifact, index };
    const { error } = await restored(full, { artifact, storage: withBytes(full.indexKey, theirs.index) });
    expect(error).toMatchObject({
      code: 'BACKUP_CORRUPTED',
      message: expect.stringMatching(
        keyName ? /its key is another, or it belongs to another/ : /belongs to another/,
      ),
    });
  });

  describe('its manifest', () => {
    const keyOf = (backup: TestBackup): string => `${backup.ref.keyPrefix}/manifest.json`;
    let sealed: Manifest;
    let sha256: string;
    let stored: Buffer;
    beforeAll(async () => {
      sealed = await sealManifest(deps.keyring, t.storage, full.ref.keyPrefix, full.manifest, signal);
      sha256 = await putManifest(t.storage, full.ref.keyPrefix, sealed);
      stored = await read(t.storage, keyOf(full));
    });

    /** As a job reads it: the record is the database's, and may be missing. */
    async function load(bytes: Buffer, recorded: string | null): Promise<unknown> {
      const { keyPrefix, backupId } = full.ref;
      const storage = withBytes(keyOf(full), bytes);
      const place = { keyPrefix, backupId, sha256: recorded };
      try {
        const found = await loadManifest(storage, place, signal);
        await checkManifestMac(
          deps.keyring,
          storage,
          keyPrefix,
          (found as { manifest: Manifest }).manifest,
          signal,
        );
        return found?.manifest;
      } catch (error) {
        return error;
      }
    }
    const corrupted = expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' });

    test('as it was written is taken', async () => {
      expect(await load(stored, sha256)).toEqual(sealed);
      expect(await load(stored, null)).toEqual(sealed);
    });

    test('with one bit flipped, at each of 1,000 places: by its record, or by its MAC', async () => {
      for (const place of places(stored)) {
        const changed = flip(stored, place);
        expect(await load(changed, sha256)).toEqual(corrupted);
        if (!keyName) continue;
        const found = await load(changed, null);
        // A version that is not known is told as one.
        if (found instanceof AppError && found.code === 'NOT_SUPPORTED') {
          expect(found.message).toMatch(/version [36]; this program/);
        } else expect([place, found]).toEqual([place, corrupted]);
      }
    }, 120_000);

    test('cut at any byte: by its record, or because it is none', async () => {
      for (let length = 0; length < stored.length; length += 1) {
        const part = stored.subarray(0, length);
        expect(await load(part, sha256)).toEqual(corrupted);
        // All but the newline at its end is a manifest still.
        if (length < stored.length - 1) expect(await load(part, null)).toEqual(corrupted);
      }
    });

    test('edited in any field: by its record, or by its MAC', async () => {
      let edits = 0;
      for (const edited of editsOf(JSON.parse(stored.toString()))) {
        const bytes = Buffer.from(`${JSON.stringify(edited, null, 2)}\n`);
        expect(await load(bytes, sha256)).toEqual(corrupted);
        if (!keyName) continue;
        const found = await load(bytes, null);
        if (found instanceof AppError && found.code === 'NOT_SUPPORTED') continue;
        expect(found).toEqual(corrupted);
        edits += 1;
      }
      if (keyName) expect(edits).toBeGreaterThan(40);
    });

    test('of an unknown version asks for a later program', async () => {
      const bytes = Buffer.from(JSON.stringify({ ...sealed, version: 3 }));
      expect(await load(bytes, null)).toMatchObject({
        code: 'NOT_SUPPORTED',
        message: expect.stringMatching(/version 3; this program reads version 2/),
      });
    });
  });
});

/** The same backup as one whose manifest knows of no index. */
function ofVersion1(backup: TestBackup): TestBackup {
  return { ...backup, place: { ...backup.place, artifact: { ...backup.place.artifact, index: null } } };
}

/** The value with each of its leaves changed, one at a time. */
function* editsOf(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const [at, one] of value.entries()) {
      for (const edited of editsOf(one)) yield value.with(at, edited);
      yield value.toSpliced(at, 1);
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, one] of Object.entries(value)) {
      for (const edited of editsOf(one)) yield { ...value, [key]: edited };
    }
  } else if (typeof value === 'string') yield value.replace(/[0-9a-z]/, (char) => (char === '1' ? '2' : '1'));
  else if (typeof value === 'number') yield value + 1;
  else if (typeof value === 'boolean') yield !value;
  else yield 'x';
}

describe('keys', () => {
  let full: TestBackup;
  let later: TestBackup;
  beforeAll(async () => {
    const both = { ...deps, keyring: keyringOf('old', 'new') };
    full = await takeBackup(both, { number: 7, root, keyName: 'old' });
    later = await takeBackup(both, { number: 8, root, parent: full, changed: [''], keyName: 'new' });
  });
  const missing = (key: string) =>
    expect.objectContaining({
      code: 'ENCRYPTION_KEY_NOT_FOUND',
      message: expect.stringContaining(`the key ${key}`),
    });

  test('an old key that is gone from the keyring: of the backup, and of what it builds on', async () => {
    const keyring = keyringOf('new');
    await expect(keyOfArtifact({ ...full.place, keyring }, signal)).rejects.toEqual(missing('old'));
    await keyOfArtifact({ ...later.place, keyring }, signal);
    const { bytes, error } = await restored(later, { keyring });
    expect([bytes.length, error]).toEqual([0, missing('old')]);
    expect((await restored(later, { keyring: keyringOf('old', 'new') })).error).toBeNull();
  });

  test('another key of the same name', async () => {
    const keys = ['old', 'new'].map((name) => ({
      name,
      kind: 'raw',
      key: Buffer.alloc(32, 7).toString('base64'),
    }));
    const keyring = createKeyring(parseKeyringFile(JSON.stringify({ v: 1, primary: null, keys })));
    for (const [backup, name] of [
      [full, 'old'],
      [later, 'new'],
    ] as const) {
      await expect(keyOfArtifact({ ...backup.place, keyring }, signal)).rejects.toMatchObject({
        code: 'ENCRYPTION_KEY_NOT_FOUND',
        message: expect.stringContaining(`The key ${name} does not open this archive`),
      });
    }
  });

  test("another artifact's key", async () => {
    const theirs = later.dataKey;
    const { bytes, error } = await restored({ ...full, dataKey: theirs });
    expect([bytes.length, error]).toEqual([
      0,
      expect.objectContaining({
        code: 'BACKUP_CORRUPTED',
        message: expect.stringMatching(/its key is another/),
      }),
    ]);
  });
});
