import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

/** A list that may be too long for memory, on the worker's own disk. The file has no name, so it goes with the process at the latest. */
export interface Spill {
  add(records: Buffer[]): Promise<void>;
  /** No more is added; gives the list from its beginning. The stream's end does not close the spill. */
  read(): Promise<Readable>;
  close(): Promise<void>;
}

export async function createSpill(dir: string): Promise<Spill> {
  const path = join(dir, `tarfleet-list-${randomBytes(8).toString('hex')}`);
  const file: FileHandle = await open(path, 'wx+', 0o600);
  await unlink(path);
  const out = createWriteStream('', { fd: file.fd, autoClose: false });
  const failed = new Promise<never>((_resolve, reject) => out.once('error', reject));
  failed.catch(() => undefined);
  return {
    async add(records) {
      if (!out.write(Buffer.concat(records))) await Promise.race([once(out, 'drain'), failed]);
    },
    async read() {
      out.end();
      await finished(out);
      return file.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 });
    },
    async close() {
      out.destroy();
      await file.close();
    },
  };
}
