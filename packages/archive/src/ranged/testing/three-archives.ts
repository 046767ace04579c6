/** One tree in three archives, as a full backup and two incremental ones leave it; and what assembling gives. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { IndexEntry } from '../../index-file/format.ts';
import { comparePaths } from '../../path-order.ts';
import { neverAborted } from '../../test-streams.ts';
import { assembleTar } from '../assemble-tar.ts';
import { archiveOf, bytesOf, pathsIn, readerOf, type TestArchive } from './archives.ts';
import { makeTree } from './make-tree.ts';

export interface ThreeArchives {
  /** The tree is in `tree`; the caller removes it. */
  dir: string;
  archives: TestArchive[];
  /** Of all of them, in the order of an index. */
  entries: IndexEntry[];
}

export async function makeThreeArchives(): Promise<ThreeArchives> {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-assemble-'));
  await makeTree(join(dir, 'tree'));
  const paths = await pathsIn(join(dir, 'tree'));
  const together = (path: Buffer): boolean => /noise|name$/.test(path.toString('latin1'));
  const archives = await Promise.all(
    [4096, 1536, 65_536].map((blockBytes, number) =>
      archiveOf(
        paths.filter((path, at) => (together(path) ? number === 1 : at % 3 === number)),
        { number, blockBytes },
      ),
    ),
  );
  const entries = archives.flatMap((archive) => archive.entries).sort((a, b) => comparePaths(a.path, b.path));
  return { dir, archives, entries };
}

/** Assembles them, and tells what was read for it. */
export function assemble(
  wanted: Iterable<IndexEntry> | AsyncIterable<IndexEntry>,
  from: readonly TestArchive[],
) {
  const readers = from.map((archive, number) => readerOf(archive, `${number}.tar.gz`));
  const opened: number[] = [];
  const tar = assembleTar({
    entries: Readable.from(wanted),
    signal: neverAborted(),
    blockBytesOf: (number) => from[number]?.blockBytes ?? 0,
    async openArchive(number) {
      opened.push(number);
      const found = readers[number];
      if (!found) throw new Error(`no archive ${number}`);
      return found.reader;
    },
  });
  const blocks = () =>
    readers.flatMap(({ blocks: read }, number) => read.map((block) => `${number}:${block}`));
  return { tar, opened, blocks };
}

/** What came out before the end or the fault, and the fault. */
export async function drain(tar: Readable): Promise<{ bytes: Buffer; error: unknown }> {
  const parts: Buffer[] = [];
  try {
    for await (const part of tar) parts.push(part as Buffer);
    return { bytes: Buffer.concat(parts), error: null };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

/** What assembling these must give. */
export function tarOf(archives: readonly TestArchive[], wanted: readonly IndexEntry[]): Buffer {
  return Buffer.concat([...wanted.map((entry) => bytesOf(archives, entry)), Buffer.alloc(1024)]);
}
