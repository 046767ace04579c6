import { mergeRuns, type PathRecord } from './merge-runs.ts';
import { createScratch, type Scratch } from './scratch.ts';

/** What is sorted in memory before it goes to the disk as one run, in bytes. */
const RUN_BYTES = 16 * 1024 * 1024;
/** What is read of a run at a time, in bytes. */
const READ_BYTES = 64 * 1024;
/** Before each record: how long its path and its facts are. */
const HEAD_BYTES = 8;
const SLASH = 0x2f;

export interface SorterOptions {
  /** Folder for what does not fit in memory. */
  dir: string;
  /** For tests. */
  runBytes?: number;
}

/** Sorts records by path, as `comparePaths` has it, in bounded memory: runs on the worker's disk, merged as they are read. */
export interface PathSorter {
  /** To be awaited when it gives a promise. */
  add(path: Buffer, facts: Buffer): Promise<void> | undefined;
  /** No more is added. Of records with the same path, the one that was added first; may be read several times. */
  sorted(): AsyncGenerator<PathRecord>;
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
  let memory: Buffer | null = null;

  const flush = async (): Promise<void> => {
    if (offsets.length === 0) return;
    const sorted = sortRun(arena, offsets);
    offsets = [];
    filled = 0;
    runs.push({ start: file.bytes(), bytes: sorted.length });
    await file.append(sorted);
  };
  const put = (path: Buffer, facts: Buffer): void => {
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
    facts.copy(arena, filled + HEAD_BYTES + path.length);
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
      else memory ??= sortRun(arena, offsets);
      if (memory) yield* unique(split(memory).records);
      else yield* mergeRuns(runs.map((run) => readRun(file, run)));
    },
    close: () => file.close(),
  };
}

/** The run's records, one behind the other in their order. */
function sortRun(arena: Buffer, offsets: readonly number[]): Buffer {
  const start = (at: number): number => at + HEAD_BYTES;
  const end = (at: number): number => start(at) + arena.readUInt32LE(at);
  const order = Uint32Array.from(offsets).sort(
    (a, b) => arena.compare(arena, start(b), end(b), start(a), end(a)) || a - b,
  );
  const parts: Buffer[] = [];
  for (const at of order) parts.push(arena.subarray(at, end(at) + arena.readUInt32LE(at + 4)));
  return Buffer.concat(parts);
}

function* unique(records: readonly PathRecord[]): Generator<PathRecord> {
  let before: Buffer | null = null;
  for (const record of records) {
    if (before === null || !before.equals(record.path)) yield record;
    before = record.path;
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
    const middle = at + HEAD_BYTES + bytes.readUInt32LE(at);
    const end = middle + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) break;
    swap(middle - at - HEAD_BYTES, bytes, at + HEAD_BYTES, 0, SLASH);
    records.push({ path: bytes.subarray(at + HEAD_BYTES, middle), facts: bytes.subarray(middle, end) });
    at = end;
  }
  return { records, used: at };
}

function swap(length: number, bytes: Buffer, start: number, from: number, to: number): void {
  for (let at = start; at < start + length; at += 1) if (bytes[at] === from) bytes[at] = to;
}
