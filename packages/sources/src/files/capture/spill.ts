import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError, errnoOf } from '@tarfleet/kernel';

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

/** The file loses its name at once, so it is gone with the process at the latest. */
export async function createSpill(dir: string): Promise<Spill> {
  const path = join(dir, `tarfleet-list-${randomBytes(8).toString('hex')}`);
  const file: FileHandle = await open(path, 'wx+', 0o600).catch(tellDisk);
  await unlink(path);
  let waiting: Buffer[] = [];
  let bytes = 0;
  let count = 0;
  let closed = false;
  const flush = async (): Promise<void> => {
    const batch = Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
    // writeFile on an open file goes on where the last one ended, and repeats short writes.
    if (batch.length > 0) await file.writeFile(batch).catch(tellDisk);
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
      await flush();
      return file.createReadStream({ start: 0, autoClose: false, highWaterMark: BATCH_BYTES });
    },
    async close() {
      if (closed) return;
      closed = true;
      await file.close();
    },
  };
}

function tellDisk(cause: unknown): never {
  throw new AppError(
    'UNAVAILABLE',
    `The worker cannot keep its list of files in its temporary folder (${errnoOf(cause)}): make room there.`,
    { retryable: true, cause },
  );
}
