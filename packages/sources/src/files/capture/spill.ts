import { Readable } from 'node:stream';
import { createScratch } from './scratch.ts';

/** How much is gathered in memory before it is written, in bytes. */
const BATCH_BYTES = 256 * 1024;

/** A list that may be too long for memory, on the worker's own disk. */
export interface Spill {
  /** How many records there are. */
  records(): number;
  /** Each record with a NUL after it. */
  add(records: readonly Buffer[]): Promise<void>;
  /** No more is added; gives the list from its beginning. */
  read(): Promise<Readable>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

const NUL = Buffer.from([0]);

/** Nothing goes to the disk before there is more than a batch; the file loses its name at once. */
export function createSpill(dir: string): Spill {
  const file = createScratch(dir);
  let waiting: Buffer[] = [];
  let bytes = 0;
  let count = 0;
  const flush = async (): Promise<void> => {
    const batch = Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
    await file.append(batch);
  };
  return {
    records: () => count,
    async add(records) {
      for (const record of records) {
        waiting.push(record, NUL);
        bytes += record.length + 1;
      }
      count += records.length;
      if (bytes >= BATCH_BYTES) await flush();
    },
    async read() {
      if (file.bytes() === 0) return Readable.from([Buffer.concat(waiting)]);
      await flush();
      return file.read(BATCH_BYTES);
    },
    close: () => file.close(),
  };
}
