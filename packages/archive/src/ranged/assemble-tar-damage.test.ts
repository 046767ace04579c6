import { rm } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IndexEntry } from '../index-file/format.ts';
import type { TestArchive } from './testing/archives.ts';
import { assemble, drain, makeThreeArchives, type ThreeArchives, tarOf } from './testing/three-archives.ts';

let three: ThreeArchives;
let archives: TestArchive[] = [];
let entries: IndexEntry[] = [];
beforeAll(async () => {
  three = await makeThreeArchives();
  ({ archives, entries } = three);
});
afterAll(() => rm(three.dir, { recursive: true, force: true }));

/** Nothing but an error is an answer to what is wrong. */
async function expectCorrupted(wanted: readonly IndexEntry[], from = archives): Promise<void> {
  const { error } = await drain(assemble(wanted, from).tar);
  expect(error).toMatchObject({ name: 'AppError', code: 'BACKUP_CORRUPTED' });
}

/** The last member that an entry lies in: behind it there is nothing but zeros. */
function lastMember({ entries: own, blockBytes }: TestArchive): number {
  const { offset, bytes } = own.at(-1)?.at ?? { offset: 0, bytes: 1 };
  return Math.floor((offset + bytes - 1) / blockBytes);
}

test('any flipped byte of the archive', async () => {
  const [first] = archives;
  if (!first) throw new Error('no archive');
  const wanted = first.entries;
  let idle = 0;
  for (let at = 0; at < first.stored.length; at += 23) {
    const stored = Buffer.from(first.stored);
    stored[at] = (stored[at] ?? 0) ^ (1 << (at % 8));
    const { bytes, error } = await drain(assemble(wanted, [{ ...first, stored }]).tar);
    expect(tarOf(archives, wanted).subarray(0, bytes.length).equals(bytes)).toBe(true);
    if (error === null) {
      expect(bytes.length).toBe(tarOf(archives, wanted).length);
      idle += 1;
    } else expect(error).toMatchObject({ code: 'BACKUP_CORRUPTED' });
  }
  // Of a member's bytes only six of its header, one flag and what fills up the last one say nothing.
  expect(idle).toBeLessThanOrEqual(first.members.length * 8);
});

const fieldSets: (keyof IndexEntry['at'])[][] = [
  ['offset'],
  ['bytes'],
  ['archive'],
  ['offset', 'bytes'],
  ['archive', 'offset', 'bytes'],
];
const pointer = fc.record({
  archive: fc.nat(2),
  offset: fc.nat(400).map((blocks) => blocks * 512),
  bytes: fc.integer({ min: 1, max: 20 }).map((blocks) => blocks * 512),
});

test('an entry that points to any other place', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), pointer, fc.constantFrom(...fieldSets), async (pick, other, fields) => {
      const at = pick % entries.length;
      const entry = entries[at];
      if (!entry) throw new Error('no entry');
      const moved = { ...entry, at: { ...entry.at } };
      for (const field of fields) moved.at[field] = other[field];
      fc.pre(JSON.stringify(moved.at) !== JSON.stringify(entry.at));
      await expectCorrupted([moved]);
      await expectCorrupted([...entries.slice(0, at), moved, ...entries.slice(at + 1)]);
    }),
    { numRuns: 100 },
  );
});

test('two entries whose places are exchanged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), async (one, two) => {
      const [a, b] = [one % entries.length, two % entries.length];
      fc.pre(a !== b);
      const swapped = entries.map((entry, at) => ({
        ...entry,
        at: entries[at === a ? b : at === b ? a : at]?.at ?? entry.at,
      }));
      await expectCorrupted(swapped);
    }),
    { numRuns: 50 },
  );
});

test('entries that point to zeros, each or all of them', async () => {
  const zeros = archives.map(({ entries: own }) => {
    const last = own.at(-1)?.at ?? { archive: 0, offset: 0, bytes: 0 };
    return { archive: last.archive, offset: last.offset + last.bytes };
  });
  for (const place of zeros) {
    for (const bytes of [512, 1024, 2048]) {
      const all = entries.map((entry) => ({ ...entry, at: { ...place, bytes } }));
      await expectCorrupted(all);
      await expectCorrupted(all.slice(0, 1));
      await expectCorrupted([...entries.slice(0, -1), ...all.slice(-1)]);
      await expectCorrupted([...all.slice(0, 1), ...entries.slice(1)]);
    }
  }
});

test('entries in another order than the index says', async () => {
  const [a, b] = entries.slice(3, 5);
  if (!a || !b) throw new Error('no entries');
  const renamed = [
    { ...a, at: b.at },
    { ...b, at: a.at },
  ];
  await expectCorrupted(renamed);
  await expectCorrupted([a, { ...a, path: Buffer.concat([a.path, Buffer.from('!')]) }]);
});

test.each<[string, (entry: IndexEntry) => Partial<IndexEntry>]>([
  ['name', ({ path }) => ({ path: Buffer.concat([path, Buffer.from('x')]) })],
  ['type', ({ type }) => ({ type: type === 'file' ? 'directory' : 'file' })],
  ['mode', ({ mode }) => ({ mode: mode ^ 0o4000 })],
  ['owner', ({ uid }) => ({ uid: uid + 1 })],
  ['group', ({ gid }) => ({ gid: gid + 1 })],
  ['time', ({ mtime }) => ({ mtime: String(Number(mtime) + 1) })],
  ['link', ({ linkTarget }) => ({ linkTarget: linkTarget ? null : Buffer.from('x') })],
  ['checksum', ({ sha256 }) => ({ sha256: sha256 ? null : 'ab'.repeat(32) })],
])('an entry of another %s', async (_what, change) => {
  for (const [at, entry] of entries.entries()) {
    const before = entries.slice(Math.max(0, at - 1), at);
    await expectCorrupted([...before, { ...entry, ...change(entry) }]);
  }
});

test("a file of another size, or with a flipped bit of its checksum; another link's target", async () => {
  for (const entry of entries) {
    if (entry.type === 'file') {
      await expectCorrupted([{ ...entry, size: entry.size + 1 }]);
      await expectCorrupted([{ ...entry, sha256: `${entry.sha256?.slice(0, -1)}x` }]);
    }
    if (entry.linkTarget) {
      await expectCorrupted([{ ...entry, linkTarget: Buffer.concat([entry.linkTarget, Buffer.from('x')]) }]);
    }
  }
});

test('the index of another archive, and members in another order', async () => {
  const [one, two, three] = archives;
  if (!one || !two || !three) throw new Error('no archives');
  await expectCorrupted(entries, [two, one, three]);
  await expectCorrupted(entries, [one, { ...two, stored: one.stored }, three]);
  const [, second = 0, third = 0] = one.members;
  const stored = Buffer.concat([
    ...[one.stored.subarray(second, third), one.stored.subarray(0, second), one.stored.subarray(third)],
  ]);
  const members = [0, third - second, ...one.members.slice(2)];
  await expectCorrupted(one.entries, [{ ...one, stored, members }]);
  await expectCorrupted(one.entries, [{ ...one, members: one.members.slice(0, lastMember(one)) }]);
});

test('an archive that is cut, and one that gives less than it says', async () => {
  const [one] = archives;
  if (!one) throw new Error('no archive');
  const needed = one.members[lastMember(one) + 1] ?? one.stored.length;
  for (const length of [0, 1, 100, needed - 1]) {
    await expectCorrupted(one.entries, [{ ...one, stored: one.stored.subarray(0, length) }]);
  }
});

test.each([
  ['more than a member may hold', (block: Buffer) => Buffer.concat([block, Buffer.from('x')])],
  ['a bomb', () => Buffer.alloc(256 << 20)],
  ['less than a member must hold', (block: Buffer) => block.subarray(1)],
  ['nothing', () => Buffer.alloc(0)],
])('a member with %s', async (_what, change) => {
  const [one] = archives;
  if (!one) throw new Error('no archive');
  const [, from = 0, to = 0] = one.members;
  const content = one.tar.subarray(one.blockBytes, 2 * one.blockBytes);
  const member = gzipSync(change(content), { level: 1 });
  const stored = Buffer.concat([one.stored.subarray(0, from), member, one.stored.subarray(to)]);
  const shift = member.length - (to - from);
  const members = one.members.map((at) => (at >= to ? at + shift : at));
  await expectCorrupted(one.entries, [{ ...one, stored, members }]);
});
