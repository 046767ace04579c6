import { pipeline, Readable, Transform } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import { destroyOnAbort } from '../abort.ts';
import { damagedIndex, type IndexEntry } from '../index-file/format.ts';
import { createTarWalker } from '../tar-walker.ts';
import type { TarEntry } from '../types.ts';
import { type Batch, type Piece, planBatches } from './plan-batches.ts';
import { type ArchiveReader, readBlocks } from './read-blocks.ts';

/** What is fetched by one read, in members of an archive. */
const BATCH_BLOCKS = 4;
/** How many reads are under way at once, the one that is being passed on included. */
const BATCHES_AHEAD = 3;
/** Blocks that stay in memory because the next batch is likely to begin in them. */
const KEPT_BLOCKS = 8;
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
 * else is BACKUP_CORRUPTED. The caller reads it to its end or destroys it.
 */
export function assembleTar(options: AssembleOptions): Readable {
  const expected: IndexEntry[] = [];
  const walker = createTarWalker({
    onEntry: (entry) => compareHeader(entry, expected[0]),
    onEnd(_entry, end) {
      const wanted = expected.shift();
      if (wanted && wanted.at.bytes === end.bytes && wanted.sha256 === end.sha256) return;
      throw mismatch(wanted, 'other content');
    },
  });
  const entries = options.entries[Symbol.asyncIterator]();
  const wanted = { [Symbol.asyncIterator]: () => entries };
  const source = Readable.from(bytesOf({ ...options, entries: wanted }, expected), {
    objectMode: false,
    highWaterMark: 1024 * 1024,
  });
  // What is destroyed before anybody read of it has not begun, and would leave the entries open.
  source.once('close', () => void entries.return?.().catch(() => undefined));
  const checked = createEndCheck(expected);
  destroyOnAbort(checked, options.signal);
  // A fault of the source destroys all behind it, and the end of the last one the source.
  pipeline(source, walker, checked, () => undefined);
  return checked;
}

/** No clean end while an entry is missing: two blocks of zeros in its place would end the tar before it. */
function createEndCheck(expected: readonly IndexEntry[]): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
    flush: (done) => done(expected.length > 0 ? mismatch(expected[0], 'nothing') : null),
    destroy: (error, done) => done(error && asCorrupted(error)),
  });
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

async function* bytesOf(options: AssembleOptions, expected: IndexEntry[]): AsyncGenerator<Buffer> {
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
        expected.push(...entries);
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
): Generator<Omit<Piece, 'entry'> & { entries: IndexEntry[] }> {
  let run: (Omit<Piece, 'entry'> & { entries: IndexEntry[] }) | null = null;
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

/** Reads the blocks of a batch, neighbours together; what an earlier batch had last is not read again. */
function createBlockCache({ openArchive, signal }: AssembleOptions) {
  const archives = new Map<number, Promise<ArchiveReader>>();
  const kept = new Map<string, Promise<Buffer>>();
  const open = (number: number): Promise<ArchiveReader> => {
    const archive = archives.get(number) ?? openArchive(number);
    archives.set(number, archive);
    return archive;
  };
  const fetchRun = (archive: number, from: number, to: number): Map<string, Promise<Buffer>> => {
    const run = open(archive).then((reader) => readBlocks(reader, from, to, signal));
    const blocks = new Map<string, Promise<Buffer>>();
    for (let block = from; block <= to; block += 1) {
      const one = run.then((all) => all[block - from] ?? Buffer.alloc(0));
      one.catch(() => undefined);
      blocks.set(`${archive}:${block}`, one);
    }
    return blocks;
  };
  return async ({ pieces }: Batch): Promise<Map<string, Buffer>> => {
    const wanted = new Map<string, Promise<Buffer>>();
    const missing = new Map<number, Set<number>>();
    for (const { archive, block } of pieces) {
      const key = `${archive}:${block}`;
      const had = kept.get(key);
      if (had) wanted.set(key, had);
      else missing.set(archive, (missing.get(archive) ?? new Set()).add(block));
    }
    for (const [archive, blocks] of missing) {
      for (const { from, to } of runsOf([...blocks])) {
        for (const [key, block] of fetchRun(archive, from, to)) wanted.set(key, block);
      }
      const last = `${archive}:${Math.max(...blocks)}`;
      const block = wanted.get(last);
      for (const key of kept.keys()) if (key.startsWith(`${archive}:`)) kept.delete(key);
      if (block) kept.set(last, block);
    }
    for (const key of kept.keys()) if (kept.size > KEPT_BLOCKS) kept.delete(key);
    const blocks = new Map<string, Buffer>();
    for (const [key, block] of wanted) blocks.set(key, await block);
    return blocks;
  };
}

function runsOf(blocks: number[]): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = [];
  for (const block of blocks.sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && last.to === block - 1) last.to = block;
    else runs.push({ from: block, to: block });
  }
  return runs;
}

function compareHeader(entry: TarEntry, wanted: IndexEntry | undefined): void {
  const path = entry.path[entry.path.length - 1] === 0x2f ? entry.path.subarray(0, -1) : entry.path;
  if (!wanted?.path.subarray(1).equals(path)) throw mismatch(wanted, 'another name');
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
