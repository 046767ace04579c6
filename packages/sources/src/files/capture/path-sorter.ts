import { mergeRuns, type PathRecord } from './merge-runs.ts';
import { createScratch, type Scratch } from './scratch.ts';
import { sortRun } from './sort-run.ts';

/** What is sorted in memory before it goes to the disk as one run, in bytes. */
const RUN_BYTES = 16 * 1024 * 1024;
/** What is read of a run at a time, in bytes. */
const READ_BYTES = 64 * 1024;
/** Before each record: how long its path and its facts are. */
const HEAD_BYTES = 8;
const SLASH = 0x2f;
/** So many records of those in memory are given at a time. */
const BATCH = 512;

export interface SorterOptions {
  /** Folder for what does not fit in memory. */
  dir: string;
  /** For tests. */
  runBytes?: number;
}

/** Sorts records by path, as `comparePaths` has it, in bounded memory: runs on the worker's disk, merged as they are read. */
export interface PathSorter {
  /** Facts are one character a byte. To be awaited when it gives a promise. */
  add(path: Buffer, facts: string): Promise<void> | undefined;
  /** No more is added. Of records with the same path, the one that was added first; may be read several times. */
  sorted(): AsyncGenerator<PathRecord[]>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

interface Run {
  start: number;
  bytes: number;
}

/** Nothing goes to the disk before there is more than one run. */
export function createPathSorter({ dir, runBytes = RUN_BYTES }: SorterOptions): PathSorter {
  const file = createScratch(dir);
  const runs: Run[] = [];
  let arena = Buffer.allocUnsafeSlow(Math.min(runBytes, 64 * 1024));
  let filled = 0;
  let offsets: number[] = [];
  let memory: Uint32Array | null = null;

  const flush = async (): Promise<void> => {
    if (offsets.length === 0) return;
    const sorted = gather(arena, sortRun(arena, offsets, HEAD_BYTES));
    offsets = [];
    filled = 0;
    runs.push({ start: file.bytes(), bytes: sorted.length });
    await file.append(sorted);
  };
  const put = (path: Buffer, facts: string): void => {
    const length = HEAD_BYTES + path.length + facts.length;
    if (filled + length > arena.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(filled + length, Math.min(runBytes, arena.length * 2)));
      arena.copy(larger, 0, 0, filled);
      arena = larger;
    }
    offsets.push(filled);
    arena.writeUInt32LE(path.length, filled);
    arena.writeUInt32LE(facts.length, filled + 4);
    // With NUL for the slash, which no path holds, plain bytes have the order that is wanted.
    swap(path.copy(arena, filled + HEAD_BYTES), arena, filled + HEAD_BYTES, SLASH, 0);
    arena.write(facts, filled + HEAD_BYTES + path.length, 'latin1');
    filled += length;
  };
  return {
    add(path, facts) {
      const full = filled > 0 && filled + HEAD_BYTES + path.length + facts.length > runBytes;
      if (full) return flush().then(() => put(path, facts));
      put(path, facts);
      return undefined;
    },
    async *sorted() {
      // A list that fits in memory stays there.
      if (runs.length > 0) await flush();
      else if (memory === null) {
        memory = sortRun(arena, offsets, HEAD_BYTES);
        for (const at of offsets) swap(arena.readUInt32LE(at), arena, at + HEAD_BYTES, 0, SLASH);
      }
      if (memory) yield* unique(arena, memory);
      else yield* mergeRuns(runs.map((run) => readRun(file, run)));
    },
    close: () => file.close(),
  };
}

/** The records one behind the other in this order. */
function gather(arena: Buffer, order: Uint32Array): Buffer {
  const parts: Buffer[] = [];
  for (const at of order) parts.push(arena.subarray(at, placesOf(arena, at).end));
  return Buffer.concat(parts);
}

/** Where the parts of the record at `at` end. */
function placesOf(bytes: Buffer, at: number): { middle: number; end: number } {
  const middle = at + HEAD_BYTES + bytes.readUInt32LE(at);
  return { middle, end: middle + bytes.readUInt32LE(at + 4) };
}

function recordAt(bytes: Buffer, at: number): PathRecord {
  const { middle, end } = placesOf(bytes, at);
  return { path: bytes.subarray(at + HEAD_BYTES, middle), facts: bytes.toString('latin1', middle, end) };
}

function* unique(arena: Buffer, order: Uint32Array): Generator<PathRecord[]> {
  let before: Buffer | null = null;
  for (let from = 0; from < order.length; from += BATCH) {
    const batch: PathRecord[] = [];
    for (const at of order.subarray(from, from + BATCH)) {
      const record = recordAt(arena, at);
      if (before === null || !before.equals(record.path)) batch.push(record);
      before = record.path;
    }
    if (batch.length > 0) yield batch;
  }
}

/** Some of a run's records at a time. */
async function* readRun(file: Scratch, { start, bytes }: Run): AsyncGenerator<PathRecord[]> {
  let rest: Buffer = Buffer.alloc(0);
  for (let from = start; from < start + bytes; from += READ_BYTES) {
    const piece = await file.part(from, Math.min(READ_BYTES, start + bytes - from));
    const chunk = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
    const { records, used } = split(chunk);
    rest = chunk.subarray(used);
    if (records.length > 0) yield records;
  }
}

function split(bytes: Buffer): { records: PathRecord[]; used: number } {
  const records: PathRecord[] = [];
  let at = 0;
  while (at + HEAD_BYTES <= bytes.length) {
    const { middle, end } = placesOf(bytes, at);
    if (end > bytes.length) break;
    swap(middle - at - HEAD_BYTES, bytes, at + HEAD_BYTES, 0, SLASH);
    records.push(recordAt(bytes, at));
    at = end;
  }
  return { records, used: at };
}

function swap(length: number, bytes: Buffer, start: number, from: number, to: number): void {
  for (let at = start; at < start + length; at += 1) if (bytes[at] === from) bytes[at] = to;
}
