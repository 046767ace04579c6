import { pipeline, Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import { destroyOnAbort } from '../abort.ts';
import { damagedIndex, type IndexEntry } from '../index-file/format.ts';
import { createTarWalker } from '../tar-walker.ts';
import type { TarEntry } from '../types.ts';
import { createBlockCache } from './block-cache.ts';
import { type Batch, type Piece, planBatches } from './plan-batches.ts';
import type { ArchiveReader } from './read-blocks.ts';
import { createRenamer, type Passing } from './rename-entries.ts';

/** What is fetched by one read, in members of an archive. */
const BATCH_BLOCKS = 4;
/** How many reads are under way at once, the one that is being passed on included. */
const BATCHES_AHEAD = 3;
const END_OF_TAR = Buffer.alloc(1024);

export interface AssembleOptions {
  /** In the index's order, whichever of them are wanted. */
  entries: AsyncIterable<IndexEntry>;
  /** Opened when the first entry of it is met. */
  openArchive(archive: number): Promise<ArchiveReader>;
  blockBytesOf(archive: number): number;
  signal: AbortSignal;
}

/**
 * A tar stream of these entries, from whichever archives hold them: it reads only the members they lie in, some at
 * a time and side by side. Each entry is compared with the index as it passes, its content by SHA-256; anything
 * else is BACKUP_CORRUPTED. What lies there under another name comes out under its own. The caller reads it to its end or destroys it.
 */
export function assembleTar(options: AssembleOptions): Readable {
  const expected: IndexEntry[] = [];
  const passing: Passing[] = [];
  const walker = createTarWalker({
    onEntry: (entry) => compareHeader(entry, expected[0]),
    onEnd(_entry, end) {
      const wanted = expected.shift();
      if (wanted?.at.bytes !== end.bytes || wanted.sha256 !== end.sha256)
        throw mismatch(wanted, 'other content');
      if (wanted.xattrs !== null && wanted.xattrs !== end.xattrs) throw mismatch(wanted, 'other attributes');
    },
  });
  const entries = options.entries[Symbol.asyncIterator]();
  const wanted = { [Symbol.asyncIterator]: () => entries };
  const source = Readable.from(bytesOf({ ...options, entries: wanted }, { expected, passing }), {
    objectMode: false,
    highWaterMark: 1024 * 1024,
  });
  // What is destroyed before anybody read of it has not begun, and would leave the entries open.
  source.once('close', () => void entries.return?.().catch(() => undefined));
  const checked = createRenamer(passing, {
    // No clean end while an entry is missing: two blocks of zeros in its place would end the tar before it.
    atEnd: () => (expected.length > 0 ? mismatch(expected[0], 'nothing') : null),
    translate: asCorrupted,
  });
  destroyOnAbort(checked, options.signal);
  // A fault of the source destroys all behind it, and the end of the last one the source.
  pipeline(source, walker, checked, () => undefined);
  return checked;
}

/** The tar itself is none of a server's here. */
function asCorrupted(error: Error): Error {
  if (!(error instanceof AppError) || error.code !== 'ARCHIVE_MALFORMED') return error;
  return new AppError(
    'BACKUP_CORRUPTED',
    `The backup has no entries where its index says they lie (${error.message}). Use another backup.`,
    { cause: error },
  );
}

async function* bytesOf(
  options: AssembleOptions,
  { expected, passing }: { expected: IndexEntry[]; passing: Passing[] },
): AsyncGenerator<Buffer> {
  const read = createBlockCache(options);
  const batches = planBatches(options.entries, options.blockBytesOf, BATCH_BLOCKS);
  const ahead: { batch: Batch; blocks: Promise<Map<string, Buffer>> }[] = [];
  let more = true;
  try {
    for (;;) {
      while (more && ahead.length < BATCHES_AHEAD) {
        const { done, value } = await batches.next();
        if (done) {
          more = false;
          break;
        }
        const blocks = read(value);
        // It is awaited in its turn; a rejection before that must not count as unhandled.
        blocks.catch(() => undefined);
        ahead.push({ batch: value, blocks });
      }
      const first = ahead.shift();
      if (!first) break;
      const blocks = await first.blocks;
      for (const run of runsOfPieces(first.batch.pieces)) {
        const { archive, block, start, end, entries } = run;
        const bytes = blocks.get(`${archive}:${block}`);
        if (!bytes || end > bytes.length) throw mismatch(entries[0], 'an archive that ends before it');
        for (const entry of entries) {
          expected.push(entry);
          passing.push({ left: entry.at.bytes, name: entry.as && entry.path.subarray(1) });
        }
        yield bytes.subarray(start, end);
      }
    }
    yield END_OF_TAR;
  } finally {
    await batches.return(undefined);
  }
}

/** What lies side by side in one block goes through the streams as one. */
function* runsOfPieces(
  pieces: readonly Piece[],
): Generator<Omit<Piece, 'entry' | 'shared'> & { entries: IndexEntry[] }> {
  let run: (Omit<Piece, 'entry' | 'shared'> & { entries: IndexEntry[] }) | null = null;
  for (const { archive, block, start, end, entry } of pieces) {
    if (run === null || run.archive !== archive || run.block !== block || run.end !== start) {
      if (run !== null) yield run;
      run = { archive, block, start, end, entries: [] };
    }
    run.end = end;
    if (entry) run.entries.push(entry);
  }
  if (run !== null) yield run;
}

function compareHeader(entry: TarEntry, wanted: IndexEntry | undefined): void {
  const path = entry.path[entry.path.length - 1] === 0x2f ? entry.path.subarray(0, -1) : entry.path;
  if (!(wanted?.as ?? wanted?.path)?.subarray(1).equals(path)) throw mismatch(wanted, 'another name');
  const same =
    wanted.type === entry.type &&
    wanted.mode === entry.mode &&
    wanted.uid === entry.uid &&
    wanted.gid === entry.gid &&
    (entry.type !== 'file' || wanted.size === entry.size) &&
    Math.abs(Number(wanted.mtime) - entry.mtime) <= 1e-5 &&
    (wanted.linkTarget === null ? entry.linkTarget === null : entry.linkTarget?.equals(wanted.linkTarget));
  if (!same) throw mismatch(wanted, 'other attributes');
}

function mismatch(wanted: IndexEntry | undefined, what: string): AppError {
  if (!wanted) return damagedIndex('an archive holds more than it says');
  return new AppError(
    'BACKUP_CORRUPTED',
    `The backup has ${what} where its index says ${wanted.path.toString()} lies. Use another backup.`,
  );
}
