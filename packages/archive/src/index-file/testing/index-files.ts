/** Indexes for tests: any entries, written and compressed as the worker does it. */
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { comparePaths } from '../../path-order.ts';
import { encodeRun, withLine } from '../encoded-run.ts';
import { INDEX_VERSION, type IndexEntry, type IndexHeader } from '../format.ts';
import { indexLines } from '../index-lines.ts';
import { openIndex } from '../read-index.ts';

export const id = (n: number): string => `0190f6c0-0000-7000-8000-${String(n).padStart(12, '0')}`;

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A header for archives with so many members each. */
export function headerOf(members: readonly (readonly number[])[]): IndexHeader {
  const archives = members.map((offsets, number) => ({
    ...{ backupId: id(10 + number), artifactId: id(20 + number) },
    name: number === 0 ? `${id(20)}/1-abc.tar.gz` : `../${id(10 + number)}/${id(20 + number)}/1-abc.tar.gz`,
    ...{ bytes: (offsets.at(-1) ?? 0) + 100, blockBytes: 4096, members: offsets.length },
  }));
  const [own = { backupId: id(10), artifactId: id(20) }] = archives;
  return {
    ...{ format: 'tarfleet-index', version: INDEX_VERSION, roots: 'tarfleet-roots:d/srv' },
    ...{ backupId: own.backupId, artifactId: own.artifactId, archives },
  };
}

export interface Content {
  members: number[][];
  entries: IndexEntry[];
}

export async function textOf({ members, entries }: Content, header = headerOf(members)): Promise<string> {
  const runs = Readable.from(entries.map((entry) => encodeRun([withLine(entry)])));
  return Buffer.concat(await collect(indexLines({ header, members, runs }))).toString();
}

/** All of an index, or what is wrong with it. */
export async function readAll(chunks: Iterable<Buffer>) {
  const index = await openIndex(Readable.from(chunks, { objectMode: false }));
  const entries = await collect(index.entries);
  return { header: index.header, members: index.members, entries };
}

export const readText = (text: string | Buffer) => readAll([gzipSync(text)]);

/** Names with line ends, quotes, broken UTF-8. */
const name = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes.map((byte) => byte || 1))),
  fc.string({ unit: 'binary', maxLength: 8 }).map((text) => Buffer.from(text.replaceAll('\0', '0'))),
);
const path = name.map((bytes) => Buffer.concat([Buffer.from('/'), bytes]));
const natural = fc.oneof(fc.nat(), fc.maxSafeNat());
const time = fc
  .tuple(fc.integer(), fc.nat(999_999_999))
  .map(([seconds, nanos]) => `${seconds}.${String(nanos).padStart(9, '0')}`);
const blocks = fc.nat(1 << 30).map((count) => count * 512);

const hash = fc.constantFrom('0123456789abcdef'.repeat(4), 'f'.repeat(64));
const length = blocks.map((bytes) => bytes + 512);

const entry = (archives: number): fc.Arbitrary<IndexEntry> =>
  fc
    .tuple(plainEntry(archives), fc.option(path), fc.option(fc.record({ offset: blocks, bytes: length })))
    .map(([plain, as, copy]) => ({
      ...plain,
      as: plain.type === 'file' ? as : null,
      copy: plain.type === 'file' && as !== null ? copy : null,
    }));

const plainEntry = (archives: number): fc.Arbitrary<Omit<IndexEntry, 'as' | 'copy'>> =>
  fc.record({
    path,
    type: fc.constantFrom('file', 'directory', 'symlink', 'hardlink', 'character-device', 'fifo', 'other'),
    ...{ size: natural, mode: fc.nat(0o7777), uid: natural, gid: natural, mtime: time },
    ctime: fc.option(time),
    inode: fc.option(fc.bigInt(0n, (1n << 64n) - 1n).map(String)),
    linkTarget: fc.option(name),
    sha256: fc.option(hash),
    xattrs: fc.oneof(hash, fc.constantFrom('', null)),
    again: fc.boolean(),
    at: fc.record({
      ...{ archive: fc.nat(archives - 1), offset: blocks },
      bytes: length,
    }),
  });

const table = fc
  .uniqueArray(fc.integer({ min: 1, max: 1 << 30 }), { maxLength: 6 })
  .map((offsets) => [0, ...offsets.sort((a, b) => a - b)]);

/** Any index, sorted. */
export const content: fc.Arbitrary<Content> = fc
  .array(table, { minLength: 1, maxLength: 4 })
  .chain((members) =>
    fc.record({
      members: fc.constant(members),
      entries: fc
        .uniqueArray(entry(members.length), { maxLength: 25, selector: (one) => one.path.toString('hex') })
        .map((list) => list.sort((a, b) => comparePaths(a.path, b.path))),
    }),
  );
