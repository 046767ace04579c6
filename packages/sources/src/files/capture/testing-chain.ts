/** What the tests of incremental captures share: a chain of archives with their indexes, kept in files. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip, gunzipSync } from 'node:zlib';
import {
  type ArchiveReader,
  assembleTar,
  BLOCK_BYTES,
  createMemberStream,
  decodeLine,
  encodeEntry,
  encodeRootList,
  type IndexArchive,
  type IndexEntry,
  indexLines,
  openIndex,
} from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';
import type { CaptureOptions, SourceWarning } from '../../types.ts';
import { calm } from '../testing-sessions.ts';
import { captureFiles } from './capture-files.ts';

const run = promisify(execFile);

export interface Link {
  index: string;
  /** The archive itself. */
  file: string;
  archives: IndexArchive[];
  /** Of the archive's own tar stream. */
  entries: string[];
  totals: { files: number; bytes: number };
  warnings: SourceWarning[];
}

export function createChain(dir: string) {
  let count = 0;
  const parentOf = async (link: Link) => {
    const parent = await openIndex(createReadStream(link.index));
    const shifted = new Map(parent.members.map((_, number) => [number, number + 1]));
    return { members: parent.members, entries: parent.renumbered(shifted) };
  };

  /** Takes a backup; with a parent an incremental one. `between` runs after the capture has begun. */
  const take = async (
    session: Session,
    service: ServiceTarget,
    before: Link | null,
    deduplicate: CaptureOptions['deduplicate'] = 'none',
  ): Promise<Link> => {
    count += 1;
    const name = `${count}.tar.gz`;
    const index = join(dir, `${count}.index.gz`);
    const parent = before && (await parentOf(before));
    const warnings: SourceWarning[] = [];
    const entries: string[] = [];
    const members: number[] = [];
    const capture = await captureFiles(
      { tmpDir: dir },
      {
        ...{ session, service, signal: calm(), parent: parent?.entries ?? null, deduplicate },
        warn: (warning) => warnings.push(warning),
        onEntry: (entry) => entries.push(`/${entry.path.toString('latin1')}`),
      },
    );
    const options = { enabled: true, level: 1, parallel: 2 };
    const gzip = createMemberStream({ ...options, onMember: (offset) => members.push(offset) }, calm());
    await pipeline(capture.tar, gzip, createWriteStream(join(dir, name)));
    const { size: bytes } = await stat(join(dir, name));
    const ids = { backupId: randomUUID(), artifactId: randomUUID() };
    const own = { ...ids, name, bytes, blockBytes: BLOCK_BYTES, members: members.length };
    const archives = [own, ...(before?.archives ?? [])];
    const header = { format: 'tarfleet-index' as const, version: 2 as const, ...ids };
    const lines = indexLines({
      header: { ...header, roots: encodeRootList(capture.roots), archives },
      members: [members, ...(parent?.members ?? [])],
      runs: capture.index(),
    });
    await pipeline(Readable.from(lines), createGzip(), createWriteStream(index));
    await capture.close();
    return { index, file: join(dir, name), archives, entries, totals: capture.totals, warnings };
  };

  /** The tree as it was, from the index alone. */
  const open = async (link: Link, wanted: (path: Buffer) => boolean = () => true): Promise<Readable> => {
    const index = await openIndex(createReadStream(link.index));
    async function* selected(): AsyncGenerator<IndexEntry> {
      for await (const entry of index.entries) if (wanted(entry.path)) yield entry;
    }
    const { archives } = index.header;
    return assembleTar({
      entries: selected(),
      signal: calm(),
      blockBytesOf: (number) => archives[number]?.blockBytes ?? 0,
      async openArchive(number): Promise<ArchiveReader> {
        const archive = archives[number];
        const members = index.members[number];
        if (!archive || !members) throw new Error(`no archive ${number}`);
        return {
          ...archive,
          members,
          read: (start, length) => readPart(join(dir, archive.name), start, length),
        };
      },
    });
  };

  const entriesOf = async (link: Link): Promise<IndexEntry[]> => {
    const all: IndexEntry[] = [];
    for await (const entry of (await openIndex(createReadStream(link.index))).entries) all.push(entry);
    return all;
  };

  /**
   * The lines of its index, and what they are when each is decoded and encoded on its own, without any short way:
   * what is kept by those of the backup before it.
   */
  const linesOf = async (link: Link, before: Link) => {
    const earlier = new Map((await entriesOf(before)).map((entry) => [entry.path.toString('hex'), entry]));
    const text = gunzipSync(await readFile(link.index)).toString();
    const lines = text.split('\n').filter((line) => line.includes('"type":'));
    const slowly = lines.map((line) => {
      const decoded = decodeLine(line, link.archives.length, 2);
      if (decoded.kind !== 'entry') throw new Error('no entry');
      const kept = earlier.get(decoded.entry.path.toString('hex'));
      if (decoded.entry.at.archive === 0 || decoded.entry.as !== null || !kept)
        return encodeEntry(decoded.entry);
      return encodeEntry({ ...kept, at: { ...kept.at, archive: kept.at.archive + 1 } });
    });
    return { lines, slowly };
  };

  const extract = async (link: Link, to: string, wanted?: (path: Buffer) => boolean): Promise<void> => {
    await mkdir(to, { recursive: true });
    const file = join(dir, 'assembled.tar');
    await pipeline(await open(link, wanted), createWriteStream(file));
    await run('tar', ['xpf', file, '--xattrs', '--xattrs-include=*', '--acls', '-C', to]);
  };
  return { take, open, extract, entriesOf, linesOf };
}

async function readPart(path: string, start: number, length: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, start);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
