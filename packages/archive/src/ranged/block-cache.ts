import type { Batch, Piece } from './plan-batches.ts';
import { type ArchiveReader, readBlocks } from './read-blocks.ts';

/** Blocks that stay in memory because the next batch is likely to begin in them. */
const KEPT_BLOCKS = 8;
/** Others, because what was copied out of them may have neighbours that were, too. */
const ORIGINAL_BLOCKS = 6;

export interface BlockCacheOptions {
  openArchive(archive: number): Promise<ArchiveReader>;
  signal: AbortSignal;
}

/** Reads the blocks of a batch, neighbours together; what an earlier batch had last is not read again. */
export function createBlockCache({ openArchive, signal }: BlockCacheOptions) {
  const archives = new Map<number, Promise<ArchiveReader>>();
  const kept = new Map<string, Promise<Buffer>>();
  const originals = new Map<string, Promise<Buffer>>();
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
      // It is awaited with its batch; a rejection before that must not count as unhandled.
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
      const had = kept.get(key) ?? originals.get(key);
      if (had) wanted.set(key, had);
      else missing.set(archive, (missing.get(archive) ?? new Set()).add(block));
    }
    for (const [archive, blocks] of missing) {
      for (const { from, to } of runsOf([...blocks])) {
        for (const [key, block] of fetchRun(archive, from, to)) wanted.set(key, block);
      }
    }
    for (const [archive, last] of lastOf(pieces)) {
      const block = wanted.get(`${archive}:${last}`);
      for (const key of kept.keys()) if (key.startsWith(`${archive}:`)) kept.delete(key);
      if (block) kept.set(`${archive}:${last}`, block);
    }
    for (const key of kept.keys()) if (kept.size > KEPT_BLOCKS) kept.delete(key);
    for (const { archive, block, shared } of pieces) {
      const content = shared && wanted.get(`${archive}:${block}`);
      if (content) refresh(originals, `${archive}:${block}`, content);
    }
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

/** Of each archive, the last block that its entries are read from in their order. */
function lastOf(pieces: readonly Piece[]): Map<number, number> {
  const last = new Map<number, number>();
  for (const { archive, block, shared } of pieces) {
    if (!shared) last.set(archive, Math.max(block, last.get(archive) ?? 0));
  }
  return last;
}

function refresh(blocks: Map<string, Promise<Buffer>>, key: string, block: Promise<Buffer>): void {
  blocks.delete(key);
  blocks.set(key, block);
  for (const oldest of blocks.keys()) if (blocks.size > ORIGINAL_BLOCKS) blocks.delete(oldest);
}
