/** Archives as a capture with deduplication leaves them, of files that a test makes up, in memory. */
import fc from 'fast-check';
import type { IndexEntry } from '../../index-file/format.ts';
import { comparePaths } from '../../path-order.ts';
import { membersOf, type TestArchive } from '../../ranged/testing/archives.ts';
import { paddingOf, paxHeader, paxRecord, TAR_END, tarHeader } from '../../tar-encoder.ts';
import { cut, through } from '../../test-streams.ts';
import { createCopyEditor, type LargeCopy } from '../edit-copies.ts';
import { createRepeats } from '../repeats.ts';

/** A file of the tree; equal numbers are equal contents or attributes. */
export interface TestFile {
  path: Buffer;
  content: Buffer;
  mode: number;
  mtime: string;
  /** Of an extended attribute; null: it has none. */
  attribute: string | null;
}

const name = fc.oneof(
  fc
    .string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 })
    .map((text) => Buffer.from(text)),
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 6 })
    .map((text) => Buffer.from(text.replace(/[\0/]/g, '_'))),
  fc.constantFrom('long'.repeat(40), '\xff\xfe').map((text) => Buffer.from(text, 'latin1')),
);

/** Any files, many of them alike, sorted. */
export const files: fc.Arbitrary<TestFile[]> = fc
  .uniqueArray(
    fc.record({
      path: fc
        .tuple(name, name)
        .map(([folder, own]) => Buffer.concat([Buffer.from('/'), folder, Buffer.from('/'), own])),
      content: fc
        .tuple(fc.constantFrom(0, 511, 3000, 3000, 3000, 6000), fc.constantFrom('x', 'x', 'y'))
        .map(([size, byte]) => Buffer.alloc(size, byte)),
      mode: fc.constantFrom(0o644, 0o644, 0o644, 0o600),
      mtime: fc.constantFrom('1700000000', '1700000000', '1700000000', '1700000000.123456789'),
      attribute: fc.constantFrom(null, null, null, 'one', 'two'),
    }),
    { maxLength: 25, size: 'max', selector: ({ path }) => path.toString('latin1') },
  )
  .map((list) => list.sort((a, b) => comparePaths(a.path, b.path)));

export function entryBytes({ path, content, mode, mtime, attribute }: TestFile): Buffer {
  const facts = { path: path.subarray(1), mode, mtime, uid: 1, gid: 2, linkTarget: null };
  let headers = tarHeader({ ...facts, type: 'file', size: content.length });
  if (attribute !== null) {
    const own = headers.subarray(-512);
    const before = headers.length > 512 ? headers.subarray(512, -512) : Buffer.alloc(0);
    const end = before.lastIndexOf(0x0a) + 1;
    const record = paxRecord('SCHILY.xattr.user.tag', attribute);
    headers = Buffer.concat([paxHeader('x', 'PaxHeaders/x', [before.subarray(0, end), record]), own]);
  }
  return Buffer.concat([headers, content, Buffer.alloc(paddingOf(content.length))]);
}

/** The stream that the editor makes of these files, cut at these places, and the entries of its index. */
export async function edited(
  all: readonly TestFile[],
  at: number[] | 'bytes',
  more: {
    movedFrom?(path: Buffer): IndexEntry | null;
    largeCopies?: LargeCopy[];
    deduplicate?: boolean;
  } = {},
): Promise<{ tar: Buffer; entries: IndexEntry[]; seen: string[] }> {
  const repeats = createRepeats();
  for (const { content, mode, mtime } of all) {
    repeats.see({ size: content.length, mode, uid: 1, gid: 2, mtime: Number(mtime) });
  }
  const copies = new Set(more.largeCopies?.map(({ path }) => path.toString('latin1')));
  const read = all.filter(({ path }) => !copies.has(path.toString('latin1')));
  const stream = Buffer.concat([...read.map(entryBytes), TAR_END]);
  const entries: IndexEntry[] = [];
  const seen: string[] = [];
  const editor = createCopyEditor({
    repeats: more.deduplicate === false ? null : repeats,
    movedFrom: more.movedFrom ?? (() => null),
    largeCopies: more.largeCopies ?? [],
    onRead: () => undefined,
    onEntry: ({ type, path, offset }) => void seen.push(`${type} ${path.toString('latin1')} ${offset}`),
    onEnd: ({ path, mtime, offset, ...entry }, { bytes, ...hashes }, elsewhere) =>
      void entries.push({
        ...{ ...entry, ...hashes, path: Buffer.concat([Buffer.from('/'), path]), mtime: String(mtime) },
        ...{ ctime: null, inode: null, again: false, as: null, copy: null },
        at: { archive: 0, offset, bytes },
        ...elsewhere,
      }),
  });
  const tar = await through(cut(stream, at), editor);
  return { tar, entries, seen };
}

export async function asArchive({
  tar,
  entries,
}: {
  tar: Buffer;
  entries: IndexEntry[];
}): Promise<TestArchive> {
  const blockBytes = 1536;
  return { tar, entries, blockBytes, ...(await membersOf(tar, blockBytes)) };
}
