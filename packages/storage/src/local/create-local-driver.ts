import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, errnoOf } from '@tarfleet/kernel';
import { assertKey, listedName, PART_NAME, partPath, toFolder } from '../keys.ts';
import { ownBody } from '../owned-body.ts';
import type { Driver, ListedObject, PutResult } from '../types.ts';
import { fileStream } from './file-stream.ts';
import { assertNoLinks, makeFolders, pruneFolders, syncFolder } from './folders.ts';
import { translateFsError } from './fs-errors.ts';
import { linkInPlace, oneChunk, openNew, removeFile, writeAll } from './part-file.ts';
import { resolveRoot } from './resolve-root.ts';
import { type FoundFile, walk } from './walk.ts';

/** Removing a folder that has become empty may meet a put into it: that many times the put makes it again. */
const FOLDER_TRIES = 20;

export interface LocalDriverOptions {
  /** The destination's folder. */
  path: string;
  /** It must lie in one of them. */
  allowedRoots: readonly string[];
}

/** Objects as files: `<folder>/<key>`, written beside their place and renamed into it. */
export function createLocalDriver(options: LocalDriverOptions): Driver {
  const rootFor = (create: boolean): Promise<string> =>
    resolveRoot(options.path, options.allowedRoots, { create });

  /**
   * Runs a call, with the file system's faults translated. Only what adds objects may make the destination's
   * folder: a delete that finds none has not deleted, it has looked in the wrong place.
   */
  async function guarded<T>(
    kind: 'add' | 'remove' | 'read',
    signal: AbortSignal,
    action: (root: string) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    try {
      return await action(await rootFor(kind === 'add'));
    } catch (error) {
      signal.throwIfAborted();
      throw translateFsError(error, { root: options.path, writing: kind !== 'read' });
    }
  }

  /** Opens a part file for a key, its folders made. */
  async function openPart(root: string, target: string): Promise<{ part: string; handle: FileHandle }> {
    for (let tries = 1; ; tries += 1) {
      try {
        const folder = dirname(target);
        await makeFolders(root, folder.slice(root.length).split('/').filter(Boolean));
        const part = partPath(target);
        return { part, handle: await openNew(part) };
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT' || tries === FOLDER_TRIES) throw error;
        await rootFor(false);
      }
    }
  }

  /** Writes chunks beside the target, then has `commit` put them in place; on failure nothing is left. */
  async function write(
    root: string,
    target: string,
    chunks: AsyncIterable<Buffer>,
    commit: (part: string) => Promise<void>,
  ): Promise<PutResult> {
    const { part, handle } = await openPart(root, target);
    try {
      const result = await writeAll(handle, chunks);
      await commit(part);
      return result;
    } catch (error) {
      await removeFile(part).catch(() => {
        // The first error is the one to tell; what is left has the name of a part, and the sweep takes it.
      });
      await pruneFolders(root, dirname(target));
      throw error;
    }
  }

  /** Every file below a prefix, its name from the destination's folder on. */
  async function* found(prefix: string, signal: AbortSignal): AsyncGenerator<FoundFile> {
    const folder = toFolder(prefix);
    try {
      const root = await rootFor(false);
      yield* walk(join(root, folder), signal, folder);
    } catch (error) {
      throw translateFsError(error, { root: options.path, writing: false });
    }
  }

  return {
    async put(key, body, { signal, beforeCommit }) {
      const owned = ownBody(body, signal);
      try {
        assertKey(key);
        return await guarded('add', signal, (root) => {
          const target = join(root, key);
          return write(root, target, owned.chunks, async (part) => {
            await beforeCommit?.();
            signal.throwIfAborted();
            await rename(part, target);
            await syncFolder(dirname(target));
          });
        });
      } catch (error) {
        owned.stop(error);
        throw error;
      } finally {
        owned.release();
      }
    },

    create(key, body, signal) {
      return guarded('add', signal, async (root) => {
        assertKey(key);
        const target = join(root, key);
        await write(root, target, oneChunk(body), async (part) => {
          signal.throwIfAborted();
          await linkInPlace(part, target, body);
          await syncFolder(dirname(target));
          await removeFile(part).catch(() => {
            // The object is there; its second name looks like a part, and the sweep takes it.
          });
        });
      });
    },

    open(key, { signal, start = 0, length }) {
      return guarded('read', signal, async (root) => {
        assertKey(key);
        const notFound = new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination.`);
        const handle = await openObject(join(root, key));
        if (!handle) throw notFound;
        try {
          const stats = await handle.stat();
          if (!stats.isFile()) throw notFound;
          const bytes = Math.max(0, Math.min(length ?? Number.POSITIVE_INFINITY, stats.size - start));
          const body = fileStream(handle, { start, bytes }, options.path, signal);
          return { body, bytes, version: `${stats.ino} ${stats.mtimeMs} ${stats.size}` };
        } catch (error) {
          await handle.close();
          throw error;
        }
      });
    },

    stat(key, signal) {
      return guarded('read', signal, async (root) => {
        assertKey(key);
        const stats = await lstat(join(root, key)).catch(whenMissing);
        return stats?.isFile() ? { key, bytes: stats.size, modifiedAt: stats.mtime } : null;
      });
    },

    async *list(prefix, signal) {
      // Part files are no objects yet.
      for await (const file of found(prefix, signal)) if (!PART_NAME.test(file.name)) yield listed(file);
    },

    delete(key, signal) {
      return guarded('remove', signal, async (root) => {
        assertKey(key);
        const target = join(root, key);
        const stats = await lstat(target).catch(whenMissing);
        if (!stats || stats.isDirectory()) return;
        await assertNoLinks(dirname(target));
        await removeFile(target);
        await pruneFolders(root, dirname(target));
      });
    },

    abortUploads(prefix, signal) {
      return guarded('remove', signal, async (root) => {
        const folder = toFolder(prefix);
        let count = 0;
        for await (const file of walk(join(root, folder), signal, folder)) {
          if (!PART_NAME.test(file.name)) continue;
          if (await removeFile(file.path)) count += 1;
          // A name that is no text here leaves its folder: an empty one is nothing.
          await pruneFolders(root, dirname(file.path.toString()));
        }
        return count;
      });
    },

    async *listUploads(prefix, signal) {
      for await (const file of found(prefix, signal)) {
        if (PART_NAME.test(file.name)) yield listed({ ...file, name: file.name.replace(PART_NAME, '') });
      }
    },

    async close() {
      // Nothing is held between calls.
    },
  };
}

function listed({ name, bytes, modifiedAt }: FoundFile): ListedObject {
  return { ...listedName(Buffer.from(name, 'latin1')), bytes, modifiedAt };
}

/** Through no link; null when there is nothing, or something that is no file. */
async function openObject(path: string): Promise<FileHandle | null> {
  const folder = await realpath(dirname(path)).catch(whenMissing);
  if (folder === null) return null;
  await assertNoLinks(dirname(path));
  // Without O_NONBLOCK a named pipe would hold the call until somebody writes to it.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  return open(path, flags).catch((error: unknown) => {
    if (errnoOf(error) === 'ELOOP') return null;
    return whenMissing(error);
  });
}

function whenMissing(error: unknown): null {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
  throw error;
}
