// A deep verification reads what is stored once, whatever it learns from it.
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { VerifyLevel } from '@tarfleet/contracts';
import type { Storage } from '@tarfleet/storage';
import { flipped } from '../archives/testing-backups.ts';
import { openWorld, type StoredBackup, type World } from './testing-world.ts';

const MIB = 1024 * 1024;
let w: World;
beforeEach(async () => {
  w = await openWorld();
});
afterEach(() => w.close());

/** The destination, how many bytes of each object came out of it, and how often it was opened. */
function metered(real: Storage) {
  const read = new Map<string, number>();
  const opened = new Map<string, number>();
  const get: Storage['get'] = async (key, options) => {
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        read.set(key, (read.get(key) ?? 0) + chunk.length);
        done(null, chunk);
      },
    });
    opened.set(key, (opened.get(key) ?? 0) + 1);
    const body = await real.get(key, options);
    body.on('error', (error) => meter.destroy(error));
    meter.on('close', () => body.destroy());
    return body.pipe(meter);
  };
  const storage: Storage = { ...real, get, close: async () => undefined };
  return { storage, read, opened };
}

async function bytesRead(backup: StoredBackup, level: VerifyLevel, ancestors: StoredBackup[] = []) {
  const { storage, read, opened } = metered(w.stored.storage);
  const result = await w.verify(backup, { level, ancestors, storage: () => storage });
  return {
    result,
    of: (one: StoredBackup) => read.get(w.object(one, 'archive')) ?? 0,
    indexOpened: (one: StoredBackup) => opened.get(w.object(one, 'index')) ?? 0,
  };
}

const sizeOf = (backup: StoredBackup): number => backup.manifest.artifacts[0]?.object.bytes ?? 0;

test.each([true, false])(
  'of a chain of archives with many members (encrypted: %s)',
  async (encrypt) => {
    await mkdir(join(w.tree, 'small'), { recursive: true });
    // More entries than are looked at together, and files over several members.
    for (let n = 0; n < 8500; n += 1) await writeFile(join(w.tree, `small/${n}`), `${n}`);
    for (const [name, size] of [
      ['a', 30],
      ['m', 9],
      ['z', 21],
    ] as const) {
      await writeFile(join(w.tree, name), randomBytes(size * MIB));
    }
    await sleep(3_100);
    const full = await w.backUp({ encrypt });
    // Its members are needed no more, the others are: what lies between is read as well, once.
    await writeFile(join(w.tree, 'm'), randomBytes(14 * MIB));
    const later = await w.backUp({ encrypt, parent: full });
    expect(sizeOf(full)).toBeGreaterThan(60 * MIB);

    for (const level of ['quick', 'deep'] as const) {
      const one = await bytesRead(full, level);
      expect(one.result).toMatchObject({ valid: true, issues: [] });
      expect(one.of(full)).toBe(sizeOf(full));
      // Twice for its beginning alone, and once for all of it.
      expect(one.indexOpened(full)).toBe(level === 'deep' ? 3 : 1);
    }
    const both = await bytesRead(later, 'deep', [full]);
    expect(both.result).toMatchObject({ valid: true, issues: [], damagedAncestors: [] });
    expect([both.of(later), both.of(full)]).toEqual([sizeOf(later), sizeOf(full)]);

    // Of a damaged one all is read too, and some of it again, to find which entries are at fault.
    const key = w.object(full, 'archive');
    const bytes = await w.read(key);
    await w.write(key, flipped(bytes, bytes.length >> 1));
    const damaged = await bytesRead(full, 'deep');
    expect(damaged.result.checks).toMatchObject({ checksum: 'failed', contents: 'failed' });
    expect(damaged.result.services[0]?.corruptedFiles).toBeGreaterThan(0);
    expect(damaged.of(full)).toBeGreaterThan(sizeOf(full));
  },
  120_000,
);

test('of an archive without an index', async () => {
  await mkdir(w.tree);
  for (const name of ['a', 'b']) await writeFile(join(w.tree, name), randomBytes(10 * MIB));
  const full = await w.backUp({ encrypt: false });
  const old = await w.rewrite(full, (manifest) => {
    const artifacts = manifest.artifacts.map(({ index: _i, parent: _p, ancestors: _a, ...rest }) => rest);
    return { ...manifest, version: 1, artifacts };
  });
  const one = await bytesRead(old, 'deep');
  expect(one.result).toMatchObject({ valid: true, issues: [] });
  expect(one.of(old)).toBe(sizeOf(old));

  // Found by its checksum where gzip does not look: in the time of the first member.
  const key = w.object(old, 'archive');
  const bytes = await w.read(key);
  await w.write(key, flipped(bytes, 5));
  const changed = await bytesRead(old, 'deep');
  expect(changed.result).toMatchObject({ valid: false, checks: { checksum: 'failed', contents: 'passed' } });
}, 60_000);
