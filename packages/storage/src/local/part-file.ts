import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, unlink } from 'node:fs/promises';
import { AppError, errnoOf } from '@tarfleet/kernel';
import type { PutResult } from '../types.ts';

/** Creates a file that nobody else has, through no link, readable by its owner alone. */
export function openNew(path: string): Promise<FileHandle> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  return open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
}

/** Writes all chunks and has the disk keep them; closes the file, also on failure. */
export async function writeAll(handle: FileHandle, chunks: AsyncIterable<Buffer>): Promise<PutResult> {
  const hash = createHash('sha256');
  let bytes = 0;
  let closed = false;
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await handle.write(chunk, done, chunk.length - done);
        done += bytesWritten;
      }
      bytes += chunk.length;
    }
    await handle.sync();
    closed = true;
    // Some file systems tell of a full disk or quota only here.
    await handle.close();
  } finally {
    if (!closed) await handle.close().catch(() => {});
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** No error when it is gone already. */
export async function removeFile(path: string | Buffer): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** What file systems without hard links answer to `link`. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/**
 * Puts a whole part file in place only if the name is free: unlike rename, link fails where it is taken, so
 * exactly one of several writers wins. Else OBJECT_EXISTS. Where there are no hard links, the file is created
 * under its name at once and filled there: still for one writer alone, but seen before it is whole.
 */
export async function linkInPlace(part: string, target: string, content: Buffer): Promise<void> {
  const whenTaken = (error: unknown): never => {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new AppError('OBJECT_EXISTS', 'An object of that key is already in the destination.');
  };
  try {
    await link(part, target);
  } catch (error) {
    if (!NO_LINKS.includes(errnoOf(error) ?? '')) return whenTaken(error);
    const handle = await openNew(target).catch(whenTaken);
    try {
      await writeAll(handle, oneChunk(content));
    } catch (fault) {
      await removeFile(target);
      throw fault;
    }
  }
}

export async function* oneChunk(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
