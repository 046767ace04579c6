import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IndexEntry } from '../index-file/format.ts';
import { linkOfCopy } from '../index-file/link-of-copy.ts';
import { assemble, drain } from '../ranged/testing/three-archives.ts';
import { TAR_END } from '../tar-encoder.ts';
import { createTarWalker } from '../tar-walker.ts';
import { through } from '../test-streams.ts';
import { type LargeCopy, LargeCopyLost } from './edit-copies.ts';
import { asArchive, edited, entryBytes, files, type TestFile } from './testing/edited-archives.ts';

const file = (path: string, content: string, more: Partial<TestFile> = {}): TestFile => ({
  ...{ path: Buffer.from(path), content: Buffer.from(content.repeat(3000)) },
  ...{ mode: 0o644, mtime: '5.5', attribute: null, ...more },
});
const chunks = fc.oneof(
  { arbitrary: fc.constant<'bytes'>('bytes'), weight: 1 },
  { arbitrary: fc.array(fc.nat()), weight: 19 },
);

/** What a tar holds: name to content and attributes, and to where it lies. */
async function contentsOf(tar: Buffer) {
  const found = new Map<string, string>();
  const seen: string[] = [];
  const walker = createTarWalker({
    onEntry: ({ type, path, offset }) => void seen.push(`${type} ${path.toString('latin1')} ${offset}`),
    onEnd: ({ path, type, mode, mtime, linkTarget }, { sha256, xattrs }) =>
      void found.set(
        path.toString('latin1'),
        [type, mode, mtime, sha256, xattrs, linkTarget?.toString('latin1')].join(' '),
      ),
  });
  await through([tar], walker);
  return { found, seen };
}

const tarOf = (all: readonly TestFile[]): Buffer => Buffer.concat([...all.map(entryBytes), TAR_END]);
const expectedOf = async (all: readonly TestFile[]) => (await contentsOf(tarOf(all))).found;

describe('any files, in any cut of the stream', () => {
  test('come back as separate ones, and each copy is a link to a file that is there', async () => {
    let copies = 0;
    await fc.assert(
      fc.asyncProperty(files, chunks, async (all, at) => {
        const made = await edited(all, at);
        const { found, seen } = await contentsOf(made.tar);
        // What it told while it wrote is what a reader finds.
        expect(made.seen).toEqual(seen);
        expect(made.entries.map(({ path }) => path)).toEqual(all.map(({ path }) => path));
        const archive = await asArchive(made);
        const { bytes, error } = await drain(assemble(made.entries, [archive]).tar);
        expect(error).toBeNull();
        expect((await contentsOf(bytes)).found).toEqual(await expectedOf(all));
        for (const entry of made.entries.filter(({ as }) => as !== null)) {
          copies += 1;
          const target = found.get(entry.as?.toString('latin1', 1) ?? '')?.split(' ')[0];
          expect(target).toBe('file');
          expect(found.get(entry.path.toString('latin1', 1))?.startsWith('hardlink ')).toBe(true);
        }
        const links = made.entries.flatMap((entry) => linkOfCopy(entry) ?? []);
        expect((await drain(assemble(links, [archive]).tar)).error).toBeNull();
      }),
      { numRuns: 80 },
    );
    expect(copies).toBeGreaterThan(100);
  });

  test('and pass unchanged where nothing is alike', async () => {
    await fc.assert(
      fc.asyncProperty(files, chunks, async (all, at) => {
        const apart = all.map((one, number) => ({ ...one, mtime: String(number) }));
        const { tar, entries } = await edited(apart, at);
        expect(tar.equals(tarOf(apart))).toBe(true);
        expect(entries.some(({ as }) => as !== null)).toBe(false);
      }),
      { numRuns: 30 },
    );
  });

  test('each found once with owner, mode, time and attributes of its own', async () => {
    const all = [
      file('/a', 'x'),
      file('/b', 'x', { attribute: 'one' }),
      file('/c', 'x', { mode: 0o600 }),
      file('/d', 'x', { mtime: '5.25' }),
      file('/e', 'y'),
      file('/f', 'x', { attribute: 'two' }),
      file('/g', 'x', { attribute: 'one' }),
      file('/h', 'x'),
    ];
    const { entries } = await edited(all, []);
    const links = entries.flatMap(({ path, as }) => (as ? [`${path} ${as}`] : []));
    expect(links).toEqual(['/g /b', '/h /a']);
  });
});

describe('damage', () => {
  const all = [file('/a', 'x'), file('/b', 'y'), file('/c', 'x'), file('/d', 'y'), file('/e', 'x')];
  const corrupted = { name: 'AppError', code: 'BACKUP_CORRUPTED' };

  test('any flipped bit of the archive is found, in a copy as in its original', async () => {
    const made = await edited(all, []);
    const archive = await asArchive(made);
    const copies = made.entries.filter(({ as }) => as !== null);
    expect(copies).toHaveLength(3);
    const right = (await drain(assemble(copies, [archive]).tar)).bytes;
    for (let at = 0; at < archive.stored.length; at += 7) {
      const stored = Buffer.from(archive.stored);
      stored[at] = (stored[at] ?? 0) ^ (1 << (at % 8));
      const { bytes, error } = await drain(assemble(copies, [{ ...archive, stored }]).tar);
      if (error === null) expect(bytes.equals(right)).toBe(true);
      else expect(error).toMatchObject(corrupted);
    }
  });

  test('another name, place or checksum than the right ones', async () => {
    const made = await edited(all, []);
    const archive = await asArchive(made);
    const at = (path: string): IndexEntry => {
      const entry = made.entries.find((one) => one.path.equals(Buffer.from(path)));
      if (!entry) throw new Error(`no ${path}`);
      return entry;
    };
    const wrong: IndexEntry[] = [
      { ...at('/c'), as: Buffer.from('/b') },
      { ...at('/c'), as: null },
      { ...at('/c'), as: Buffer.from('/c') },
      { ...at('/c'), at: at('/b').at },
      { ...at('/c'), at: at('/b').at, as: Buffer.from('/b') },
      { ...at('/c'), at: { archive: 0, offset: 0, bytes: 512 } },
      { ...at('/c'), at: { archive: 0, ...(at('/c').copy ?? { offset: 0, bytes: 512 }) } },
      { ...at('/c'), sha256: 'a'.repeat(64) },
      { ...at('/c'), xattrs: 'a'.repeat(64) },
      { ...at('/c'), size: 1 },
      { ...at('/b'), as: Buffer.from('/a') },
    ];
    for (const entry of wrong) {
      expect((await drain(assemble([entry], [archive]).tar)).error).toMatchObject(corrupted);
      expect((await drain(assemble([at('/a'), entry, at('/e')], [archive]).tar)).error).toMatchObject(
        corrupted,
      );
    }
    const link = linkOfCopy(at('/c'));
    if (!link) throw new Error('no copy');
    for (const other of [
      { ...link, linkTarget: Buffer.from('b') },
      { ...link, path: Buffer.from('/b') },
      { ...link, at: at('/d').at },
    ]) {
      expect((await drain(assemble([other], [archive]).tar)).error).toMatchObject(corrupted);
    }
  });
});

describe('what an earlier archive holds', () => {
  test('is left out where content and attributes are the same, and comes back under its new name', async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.array(fc.boolean()), chunks, async (all, spoil, at) => {
        const before = await edited(
          all.map((one) => ({ ...one, path: Buffer.concat([Buffer.from('/old'), one.path]) })),
          [],
        );
        const old = before.entries.map((entry) => ({ ...entry, at: { ...entry.at, archive: 1 } }));
        const now = all.map((one, number) => ({
          ...one,
          attribute: spoil[number] ? 'other' : one.attribute,
        }));
        const movedFrom = (path: Buffer): IndexEntry | null =>
          old.find((entry) => entry.path.equals(Buffer.concat([Buffer.from('/old'), path]))) ?? null;
        const made = await edited(now, at, { movedFrom, deduplicate: spoil.length % 2 === 0 });
        for (const [number, { path, at: place, size, copy }] of made.entries.entries()) {
          const changed = spoil[number] && all[number]?.attribute !== 'other';
          expect([path, place.archive]).toEqual([path, size > 0 && !changed ? 1 : 0]);
          if (place.archive === 1) expect(copy).toBeNull();
        }
        const archives = [await asArchive(made), await asArchive(before)];
        const { bytes, error } = await drain(assemble(made.entries, archives).tar);
        expect(error).toBeNull();
        expect((await contentsOf(bytes)).found).toEqual(await expectedOf(now));
      }),
      { numRuns: 60 },
    );
  });
});

describe('large copies', () => {
  const copyOf = async (path: string, original: TestFile): Promise<LargeCopy> => {
    const { entries } = await edited([original], []);
    const [first] = entries;
    if (!first) throw new Error('no entry');
    const { size, mode, uid, gid, sha256, xattrs } = first;
    return {
      ...{ path: Buffer.from(path), original: original.path, size, mode, uid, gid, mtime: original.mtime },
      ...{ sha256: sha256 ?? '', xattrs: xattrs ?? '' },
    };
  };

  test('are put in at their place, in any cut of the stream', async () => {
    const all = ['/a', '/b', '/c/d', '/e', '/z'].map((path) => file(path, path === '/b' ? 'y' : 'x'));
    const [first] = all;
    if (!first) throw new Error('no file');
    const largeCopies = [await copyOf('/c/d', first), await copyOf('/z', first)];
    for (const at of [[], [512], [513, 1024, 5000], 'bytes'] as const) {
      const made = await edited(all, typeof at === 'string' ? at : [...at], {
        largeCopies,
        deduplicate: false,
      });
      expect(made.seen).toEqual((await contentsOf(made.tar)).seen);
      expect(made.entries.flatMap(({ path, as }) => (as ? [`${path} ${as}`] : []))).toEqual([
        '/c/d /a',
        '/z /a',
      ]);
      const { bytes, error } = await drain(assemble(made.entries, [await asArchive(made)]).tar);
      expect(error).toBeNull();
      expect((await contentsOf(bytes)).found).toEqual(await expectedOf(all));
    }
  });

  test('of an original that is another one now, or not there, are not', async () => {
    const right = file('/a', 'x');
    const copy = await copyOf('/c', right);
    const changed: Partial<TestFile>[] = [
      { content: Buffer.alloc(3000, 'z') },
      { content: Buffer.alloc(10, 'x') },
      { mode: 0o600 },
      { mtime: '6' },
      { attribute: 'one' },
      { path: Buffer.from('/b') },
      { path: Buffer.from('/d') },
    ];
    for (const change of changed) {
      await expect(edited([{ ...right, ...change }], [], { largeCopies: [copy] })).rejects.toBeInstanceOf(
        LargeCopyLost,
      );
    }
  });
});
