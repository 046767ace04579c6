import { randomBytes } from 'node:crypto';
import { type FileHandle, open as openFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { AppError, errnoOf } from '@tarfleet/kernel';

/** A file without a name on the worker's own disk, so that it is gone with the process at the latest. */
export interface Scratch {
  /** How much was written. */
  bytes(): number;
  append(bytes: Buffer): Promise<void>;
  /** Exactly this part of what was written. */
  part(start: number, length: number): Promise<Buffer>;
  /** All that was written so far, in pieces of this size. */
  read(pieceBytes: number): Readable;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** It is made by the first write. */
export function createScratch(dir: string): Scratch {
  let opening: Promise<FileHandle> | null = null;
  let written = 0;
  let closed = false;
  const open = (): Promise<FileHandle> => {
    opening ??= openUnnamed(dir);
    return opening;
  };
  const part = async (start: number, length: number): Promise<Buffer> => {
    const file = await open();
    const bytes = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await file.read(bytes, filled, length - filled, start + filled).catch(tellDisk);
      if (bytesRead === 0) throw new Error("The worker's temporary file is shorter than what was written.");
      filled += bytesRead;
    }
    return bytes;
  };
  return {
    bytes: () => written,
    part,
    async append(bytes) {
      if (bytes.length === 0) return;
      const file = await open();
      // writeFile on an open file goes on where the last one ended, and repeats short writes.
      await file.writeFile(bytes).catch(tellDisk);
      written += bytes.length;
    },
    read(pieceBytes) {
      const end = written;
      async function* pieces(): AsyncGenerator<Buffer> {
        for (let at = 0; at < end; at += pieceBytes) yield await part(at, Math.min(pieceBytes, end - at));
      }
      return Readable.from(pieces(), { objectMode: false });
    },
    async close() {
      if (closed) return;
      closed = true;
      const file = await opening?.catch(() => null);
      await file?.close();
    },
  };
}

async function openUnnamed(dir: string): Promise<FileHandle> {
  const path = join(dir, `tarfleet-list-${randomBytes(8).toString('hex')}`);
  const file = await openFile(path, 'wx+', 0o600).catch(tellDisk);
  await unlink(path);
  return file;
}

function tellDisk(cause: unknown): never {
  throw new AppError(
    'UNAVAILABLE',
    `The worker cannot keep its list of files in its temporary folder (${errnoOf(cause)}): make room there.`,
    { retryable: true, cause },
  );
}
