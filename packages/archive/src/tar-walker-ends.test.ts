import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { pathsIn, writeTar } from './ranged/testing/archives.ts';
import { makeTree } from './ranged/testing/make-tree.ts';
import { createTarWalker } from './tar-walker.ts';
import { cut, through } from './test-streams.ts';
import type { EntryEnd, TarEntry } from './types.ts';

interface Passed extends EntryEnd {
  entry: TarEntry;
}

async function walk(chunks: Iterable<Buffer>): Promise<Passed[]> {
  const passed: Passed[] = [];
  const begun: TarEntry[] = [];
  const walker = createTarWalker({
    onEntry: (entry) => begun.push(entry),
    onEnd(entry, end) {
      // The last one that began, and each one once.
      expect(begun.at(-1)).toBe(entry);
      expect(passed.at(-1)?.entry).not.toBe(entry);
      passed.push({ entry, ...end });
    },
  });
  await through(chunks, walker);
  expect(passed.map(({ entry }) => entry)).toEqual(begun);
  return passed;
}

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-walker-ends-'));
  await makeTree(join(dir, 'tree'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('archives of GNU tar', () => {
  test.each([
    ['pax'],
    ['gnu'],
    ['oldgnu', '--sparse'],
    ['gnu', '--sparse'],
    ['pax', '--sparse', '--sparse-version=0.0'],
    ['pax', '--sparse', '--sparse-version=0.1'],
    ['pax', '--sparse', '--sparse-version=1.0'],
  ])('%s %s %s', async (format, ...more) => {
    const paths = await pathsIn(join(dir, 'tree'));
    const options = more.filter((option) => option !== undefined);
    const tar = await writeTar(paths, `--format=${format}`, ...options);
    const passed = await walk([tar]);
    // They follow each other from the first byte to the two blocks of zeros.
    let at = 0;
    for (const { entry, bytes } of passed) {
      expect(entry.offset).toBe(at);
      at += bytes;
    }
    expect(tar.subarray(at).equals(Buffer.alloc(tar.length - at))).toBe(true);
    expect(tar.length - at).toBeGreaterThanOrEqual(1024);
    for (const { entry, bytes, sha256: found } of passed) {
      expect(bytes % 512).toBe(0);
      expect(found === null).toBe(entry.type !== 'file');
      const isSparse = entry.path.toString('latin1').endsWith('/sparse') && options.length > 0;
      if (entry.type !== 'file' || isSparse) continue;
      const stored = tar.subarray(entry.offset, entry.offset + bytes);
      const blocks = Math.ceil(entry.size / 512) * 512;
      const content = stored.subarray(stored.length - blocks).subarray(0, entry.size);
      expect(found).toBe(sha256(content));
    }
    expect(await walk(cut(tar, [1, 511, 513, 1024, 1537, 70_001]))).toEqual(passed);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), async (places) => {
        expect(await walk(cut(tar, places))).toEqual(passed);
      }),
      { numRuns: 15 },
    );
  });

  test('byte by byte', async () => {
    const paths = (await pathsIn(join(dir, 'tree'))).filter(
      (path) => !/noise|sparse|name$/.test(String(path)),
    );
    const tar = await writeTar(paths, '--format=pax');
    expect(await walk(cut(tar, 'bytes'))).toEqual(await walk([tar]));
  });
});

test('nobody is told of the end of an entry that is cut', async () => {
  const tar = await writeTar([Buffer.from(join(dir, 'tree/block'))], '--format=ustar', '-b1');
  for (const length of [511, 512, 1023]) {
    const ends: EntryEnd[] = [];
    const walker = createTarWalker({ onEntry: () => undefined, onEnd: (_, end) => ends.push(end) });
    await expect(through([tar.subarray(0, length)], walker)).rejects.toMatchObject({
      code: 'ARCHIVE_MALFORMED',
    });
    expect(ends).toEqual([]);
  }
});
