/** Archives of GNU tar in small members, with the entries of their index, in memory. */
import { execFile, spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { compressMember } from '../../deflate/gzip-member.ts';
import { zlibCodec } from '../../deflate/zlib-codec.ts';
import type { IndexEntry } from '../../index-file/format.ts';
import { comparePaths } from '../../path-order.ts';
import { createTarWalker } from '../../tar-walker.ts';
import { through } from '../../test-streams.ts';
import type { ArchiveReader } from '../read-blocks.ts';

const run = promisify(execFile);

export interface TestArchive {
  tar: Buffer;
  entries: IndexEntry[];
  stored: Buffer;
  members: number[];
  blockBytes: number;
}

/** Everything in the folder, by absolute path, in the order of an index. */
export async function pathsIn(folder: string): Promise<Buffer[]> {
  const { stdout } = await run('find', [folder, '-print0'], { encoding: 'buffer' });
  return stdout
    .toString('latin1')
    .split('\0')
    .filter(Boolean)
    .map((path) => Buffer.from(path, 'latin1'))
    .sort(comparePaths);
}

/** The paths as GNU tar writes them, in this order. */
export async function writeTar(paths: readonly Buffer[], ...options: string[]): Promise<Buffer> {
  const names = paths.flatMap((path) => [path.subarray(1), Buffer.from([0])]);
  const tar = spawn(
    'tar',
    ['-C', '/', '-cf', '-', '--no-recursion', '--null', '--verbatim-files-from', ...options, '-T', '-'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  tar.stdin.end(Buffer.concat(names));
  return buffer(tar.stdout);
}

export async function archiveOf(
  paths: readonly Buffer[],
  { number = 0, blockBytes = 4096, options = ['--format=pax', '--sparse'] } = {},
): Promise<TestArchive> {
  const tar = await writeTar(paths, ...options);
  const entries: IndexEntry[] = [];
  const walker = createTarWalker({
    onEntry: () => undefined,
    onEnd({ path, mtime, offset, ...entry }, { bytes, ...hashes }) {
      const name = path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
      entries.push({
        ...entry,
        path: Buffer.concat([Buffer.from('/'), name]),
        mtime: String(mtime),
        ...{ ctime: null, inode: null, again: false, as: null, copy: null, ...hashes },
        at: { archive: number, offset, bytes },
      });
    },
  });
  await through([tar], walker);
  return { tar, entries, blockBytes, ...(await membersOf(tar, blockBytes)) };
}

export async function membersOf(
  tar: Buffer,
  blockBytes: number,
): Promise<{ stored: Buffer; members: number[] }> {
  const parts: Buffer[] = [];
  const members: number[] = [];
  let at = 0;
  for (let from = 0; from < tar.length; from += blockBytes) {
    const member = await compressMember(zlibCodec, tar.subarray(from, from + blockBytes), 6);
    members.push(at);
    at += member.length;
    parts.push(member);
  }
  return { stored: Buffer.concat(parts), members };
}

/** Tells which members were read, in the order they were asked for. */
export function readerOf(archive: TestArchive, name = 'test.tar.gz') {
  const { stored, members, blockBytes } = archive;
  const blocks: number[] = [];
  let reads = 0;
  const reader: ArchiveReader = {
    ...{ name, members, blockBytes, bytes: stored.length },
    async read(start, length) {
      reads += 1;
      const end = start + length;
      for (const [block, at] of members.entries()) if (at >= start && at < end) blocks.push(block);
      return stored.subarray(start, end);
    },
  };
  return { reader, blocks, reads: () => reads };
}

/** The bytes of an entry with its headers, as its archive has them. */
export function bytesOf(archives: readonly TestArchive[], { at }: IndexEntry): Buffer {
  return archives[at.archive]?.tar.subarray(at.offset, at.offset + at.bytes) ?? Buffer.alloc(0);
}

/** The members that an entry lies in. */
export function blocksOf(archives: readonly TestArchive[], { at }: IndexEntry): string[] {
  const blockBytes = archives[at.archive]?.blockBytes ?? 1;
  const blocks: string[] = [];
  const last = Math.floor((at.offset + at.bytes - 1) / blockBytes);
  for (let block = Math.floor(at.offset / blockBytes); block <= last; block += 1) {
    blocks.push(`${at.archive}:${block}`);
  }
  return blocks;
}
