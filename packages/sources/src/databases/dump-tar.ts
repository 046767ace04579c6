import { Readable } from 'node:stream';
import {
  type ArchiveRoot,
  comparePaths,
  type EncodedRun,
  encodeRun,
  type IndexEntry,
  paddingOf,
  TAR_END,
  type TarEntry,
  tarComment,
  tarHeader,
  withLine,
} from '@tarfleet/archive';
import { type EndedEntry, passTar } from '../files/capture/pass-tar.ts';
import { inParts } from './parts.ts';

/** Under which all entries of a database's archive lie. */
export const DUMP_ROOT: ArchiveRoot = { path: Buffer.from('/dump'), type: 'directory' };

/** One stream of a database's archive; it becomes entries `dump/{name}.000001`, ...; a name may have one folder. */
export interface Dump {
  name: string;
  /** Ends only when all of it is there and sound. */
  bytes(): AsyncGenerator<Buffer>;
}

export interface DumpTarOptions {
  dumps: AsyncIterable<Dump>;
  /** Of the entries, in seconds since 1970. */
  mtime: string;
  signal: AbortSignal;
  onEntry(entry: TarEntry): void;
}

export interface DumpTar {
  tar: Readable;
  /** Once the tar stream has ended. */
  index(): AsyncGenerator<EncodedRun>;
}

const LINES_IN_RUN = 1_000;

/** The dumps of a database as a tar stream, of which one part at a time is in memory. */
export function dumpTar({ dumps, mtime, signal, onEntry }: DumpTarOptions): DumpTar {
  const header = (path: string, type: 'file' | 'directory', size: number): Buffer => {
    const facts = { mode: type === 'file' ? 0o600 : 0o700, uid: 0, gid: 0, linkTarget: null };
    return tarHeader({ ...facts, path: Buffer.from(path), type, size, mtime });
  };
  async function* pieces(): AsyncGenerator<Buffer> {
    yield tarComment([DUMP_ROOT]);
    yield header('dump', 'directory', 0);
    let last = Buffer.alloc(0);
    let folder = '';
    for await (const { name, bytes } of dumps) {
      // A restore reads them in the index's order, which is this one.
      const place = Buffer.from(`${name}.`);
      if (Buffer.compare(last, place) >= 0) throw new Error(`${name} comes too late in the archive.`);
      last = place;
      const own = name.slice(0, name.lastIndexOf('/') + 1);
      if (own !== folder && own !== '') yield header(`dump/${own.slice(0, -1)}`, 'directory', 0);
      folder = own;
      let number = 0;
      for await (const part of inParts(bytes())) {
        number += 1;
        yield header(`dump/${name}.${String(number).padStart(6, '0')}`, 'file', part.length);
        yield part;
        yield Buffer.alloc(paddingOf(part.length));
      }
    }
    yield TAR_END;
  }
  return indexedTar(pieces(), { mtime, signal, onEntry });
}

/** These bytes as a tar stream, with its index; all entries are of this time. */
export function indexedTar(
  pieces: AsyncIterable<Buffer>,
  { mtime, signal, onEntry }: Omit<DumpTarOptions, 'dumps'>,
): DumpTar {
  const seen: IndexEntry[] = [];
  const tar = passTar({
    source: Readable.from(pieces, { objectMode: false, highWaterMark: 256 * 1024 }),
    told: Promise.resolve(),
    settle: async () => undefined,
    ...{ signal, onEntry, copies: null },
    onEnd: async (ended) => void seen.push(...ended.map((one) => toIndexEntry(one, mtime))),
  });
  return {
    tar,
    async *index() {
      const sorted = seen.toSorted((a, b) => comparePaths(a.path, b.path));
      for (let at = 0; at < sorted.length; at += LINES_IN_RUN) {
        yield encodeRun(sorted.slice(at, at + LINES_IN_RUN).map(withLine));
      }
    },
  };
}

function toIndexEntry([entry, end]: EndedEntry, mtime: string): IndexEntry {
  const { type, size, mode, uid, gid, offset, linkTarget } = entry;
  const path = Buffer.from(`/${entry.path.toString().replace(/\/$/, '')}`);
  return {
    ...{ path, type, size, mode, uid, gid, mtime, linkTarget },
    ...{ ctime: null, inode: null, as: null, copy: null, again: false },
    ...{ sha256: end.sha256, xattrs: end.xattrs },
    at: { archive: 0, offset, bytes: end.bytes },
  };
}
