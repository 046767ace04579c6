import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { DestinationSecrets, FtpDestinationConfig } from '@tarfleet/contracts';
import { AppError, timeLimit } from '@tarfleet/kernel';
import type { Client } from 'basic-ftp';
import { assertKey, listedName, PART_NAME, partPath, toFolder } from '../keys.ts';
import { ownBody } from '../owned-body.ts';
import type { Driver, ListedObject, PutResult } from '../types.ts';
import { connectFtp, type FtpTimeouts, bytes as wire } from './connect-ftp.ts';
import { downloadFtp } from './download.ts';
import { rootMissing, translateFtp } from './ftp-faults.ts';
import { type FoundEntry, isFolder, pruneFolders, removeFile, sizeOf, walk } from './ftp-files.ts';
import { assertWritable, listFolder, prepareFolders } from './ftp-folders.ts';
import { createFtpPool } from './ftp-pool.ts';
import { createGuard } from './guard.ts';
import { withLock } from './take-lock.ts';
import { NotBegun, OwnFault, renameOver, upload } from './upload.ts';

/** Removing a folder that has become empty may meet a put into it: that many times the put makes it again. */
const FOLDER_TRIES = 20;
/** An aborted upload may end by itself, so that the server has surely made the file before it is removed. */
const GRACE_MS = 2000;
/** For what a failed or aborted call has left. */
const CLEANUP_MS = 30_000;
/** More than a file system keeps for what is already there, less than what travels before anybody reads it. */
const PROBE_BYTES = 64 * 1024;

export interface FtpDriverOptions {
  config: FtpDestinationConfig;
  secrets: DestinationSecrets;
  timeouts: FtpTimeouts;
}

/** Objects as files of an FTP server: `<folder>/<key>`, written beside their place and renamed into it. */
export function createFtpDriver({ config, secrets, timeouts }: FtpDriverOptions): Driver {
  const shown = posix.resolve('/', config.path);
  const root = wire(shown);
  const place = { server: `${config.username}@${config.host}:${config.port}`, root: shown };
  const pool = createFtpPool((signal) => connectFtp(config, secrets, place, timeouts, signal), place.server);
  const pathOf = (key: string): string => posix.join(root, key);

  const guarded = createGuard(pool, place);

  /** For a call that found nothing: in a destination whose folder is missing it has looked in the wrong place. */
  async function assertRoot(client: Client): Promise<void> {
    if (!(await isFolder(client, root))) throw rootMissing(place);
  }

  /** Writes chunks beside the target, then has `commit` put them in place; on failure nothing is left. */
  async function write(
    target: string,
    chunks: AsyncIterable<Buffer>,
    signal: AbortSignal,
    commit: (client: Client, part: string) => Promise<void>,
  ): Promise<PutResult> {
    const part = partPath(target);
    let connected = false;
    for (let tries = 1; ; tries += 1) {
      try {
        return await guarded(
          'add',
          signal,
          async (client) => {
            connected = true;
            await prepareFolders(client, place, root, posix.dirname(target));
            const result = await upload(client, part, chunks);
            await commit(client, part);
            return result;
          },
          GRACE_MS,
        );
      } catch (error) {
        if (!connected) throw error;
        if (!(error instanceof NotBegun)) {
          // Asked before the part is gone: with it goes what filled the disk.
          const told = maybeFull(error) && !signal.aborted ? ((await fullness(target)) ?? error) : error;
          await clean(part);
          throw told;
        }
        // Another call has just removed the folder; or it cannot be written, which a folder's making tells better.
        await guarded('add', signal, (client) => assertWritable(client, part));
        if (tries === FOLDER_TRIES) throw translateFtp(error.error, place, true);
      }
    }
  }

  /**
   * A server whose disk is full cuts the data connection, and the library leaves before the answer that says so. A file
   * that is sent whole before it can be refused brings that answer.
   */
  async function fullness(target: string): Promise<AppError | null> {
    const probe = partPath(target);
    try {
      const sent = Readable.from([Buffer.alloc(PROBE_BYTES)], { objectMode: false });
      await guarded('add', timeLimit(CLEANUP_MS), (client) => client.uploadFrom(sent, probe));
      return null;
    } catch (error) {
      return error instanceof AppError && error.code === 'STORAGE_FULL' ? error : null;
    } finally {
      await clean(probe);
    }
  }

  async function clean(part: string): Promise<void> {
    await guarded('remove', timeLimit(CLEANUP_MS), async (client) => {
      await removeFile(client, part);
      await pruneFolders(client, root, posix.dirname(part));
    }).catch(() => {
      // The first error is the one to tell; what is left has the name of a part, and the sweep takes it.
    });
  }

  /** Everything below a prefix, its name from the destination's folder on. */
  async function* found(prefix: string, signal: AbortSignal): AsyncGenerator<FoundEntry> {
    signal.throwIfAborted();
    const folder = toFolder(prefix);
    await guarded('read', signal, assertRoot);
    const entries = (path: string) => guarded('read', signal, (client) => listFolder(client, path));
    yield* walk(entries, pathOf(folder.slice(0, -1)).replace(/^\/$/, ''), folder);
  }

  return {
    async put(key, body, { signal, beforeCommit }) {
      const owned = ownBody(body, signal);
      try {
        signal.throwIfAborted();
        assertKey(key);
        const target = pathOf(key);
        return await write(target, owned.chunks, signal, async (client, part) => {
          await beforeCommit?.().catch((error: unknown) => {
            throw new OwnFault(error);
          });
          signal.throwIfAborted();
          await renameOver(client, part, target);
        });
      } catch (error) {
        owned.stop(error);
        throw error;
      } finally {
        owned.release();
      }
    },

    async create(key, body, signal) {
      signal.throwIfAborted();
      assertKey(key);
      const target = pathOf(key);
      await write(target, oneChunk(body), signal, (client, part) =>
        withLock(client, target, signal, async () => {
          await client.rename(part, target);
        }),
      );
    },

    async open(key, { signal, start = 0, length }) {
      signal.throwIfAborted();
      assertKey(key);
      const path = pathOf(key);
      const size = await guarded('read', signal, async (client) => {
        const found = await sizeOf(client, path);
        if (found === null) await assertRoot(client);
        return found;
      });
      if (size === null)
        throw new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination.`);
      const bytes = Math.max(0, Math.min(length ?? Number.POSITIVE_INFINITY, size - start));
      if (bytes === 0) return { body: Readable.from([]), bytes, version: null };
      const lease = await pool.lease(signal);
      const translate = (error: unknown): AppError => translateFtp(error, place, false);
      const toEnd = start + bytes === size;
      const body = downloadFtp({ lease, path, start, bytes, toEnd, signal, translate });
      return { body, bytes, version: null };
    },

    async stat(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      return guarded('read', signal, async (client) => {
        const bytes = await sizeOf(client, pathOf(key));
        if (bytes === null) {
          await assertRoot(client);
          return null;
        }
        // An extension that not every server has.
        const modifiedAt = await client.lastMod(pathOf(key)).catch(() => null);
        return { key, bytes, modifiedAt };
      });
    },

    async *list(prefix, signal) {
      // Part files are no objects yet.
      for await (const file of found(prefix, signal)) if (!PART_NAME.test(file.name)) yield listed(file);
    },

    async delete(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      const target = pathOf(key);
      await guarded('remove', signal, async (client) => {
        if (await removeFile(client, target)) await pruneFolders(client, root, posix.dirname(target));
        else await assertRoot(client);
      });
    },

    async abortUploads(prefix, signal) {
      let count = 0;
      for await (const file of found(prefix, signal)) {
        if (!PART_NAME.test(file.name)) continue;
        await guarded('remove', signal, async (client) => {
          if (file.isLock) await client.sendIgnoringError(`RMD ${file.path}`);
          else if (await removeFile(client, file.path)) count += 1;
          await pruneFolders(client, root, posix.dirname(file.path));
        });
      }
      return count;
    },

    async *listUploads(prefix, signal) {
      for await (const file of found(prefix, signal)) {
        if (!PART_NAME.test(file.name) || file.isLock) continue;
        yield listed({ ...file, name: file.name.replace(PART_NAME, '') });
      }
    },

    async close() {
      pool.close();
    },
  };
}

function listed({ name, bytes, modifiedAt }: FoundEntry): ListedObject {
  return { ...listedName(Buffer.from(name, 'latin1')), bytes, modifiedAt };
}

function maybeFull(error: unknown): boolean {
  return error instanceof AppError && ['DESTINATION_UNREACHABLE', 'STORAGE_FAILED'].includes(error.code);
}

async function* oneChunk(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
