import { posix } from 'node:path';
import type { DestinationSecrets, SftpDestinationConfig } from '@tarfleet/contracts';
import { AppError, timeLimit } from '@tarfleet/kernel';
import { assertKey, listedName, PART_NAME, toFolder } from '../keys.ts';
import { ownBody } from '../owned-body.ts';
import type { Driver, ListedObject, PutResult } from '../types.ts';
import { connectSftp, type SftpTimeouts } from './connect-sftp.ts';
import { assertRoot, openPart, spaceOf } from './destination-folder.ts';
import { CLEANUP_MS, linkInPlace, oneChunk, removeFile, renameOver } from './place-file.ts';
import { readStream } from './read-stream.ts';
import { type FoundFile, lstatOf, pruneFolders, walk } from './remote-folders.ts';
import { statusOf, translateStatus } from './sftp-faults.ts';
import { createSftpLink } from './sftp-link.ts';
import type { SftpSession } from './sftp-session.ts';
import { closeHandle, writeAll } from './write-file.ts';

export interface SftpDriverOptions {
  config: SftpDestinationConfig;
  secrets: DestinationSecrets;
  timeouts: SftpTimeouts;
}

/** Objects as files of an SFTP server: `<folder>/<key>`, written beside their place and renamed into it. */
export function createSftpDriver({ config, secrets, timeouts }: SftpDriverOptions): Driver {
  const root = posix.resolve('/', config.path);
  const place = { server: `${config.username}@${config.host}:${config.port}`, root };
  const link = createSftpLink((signal) => connectSftp(config, secrets, place, timeouts, signal));
  const pathOf = (key: string): string => posix.join(root, key);

  /** Runs a call, with the server's answers translated. Only what adds objects may make the destination's folder. */
  async function guarded<T>(
    kind: 'add' | 'remove' | 'read',
    signal: AbortSignal,
    action: (session: SftpSession) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const session = await link.session(signal);
    try {
      return await action(session);
    } catch (error) {
      signal.throwIfAborted();
      if (statusOf(error) === null) throw error;
      throw kind === 'read' ? translateStatus(error, place, false, null) : await tell(session, error, signal);
    }
  }

  async function tell(session: SftpSession, error: unknown, signal: AbortSignal): Promise<unknown> {
    return translateStatus(error, place, true, await spaceOf(session, root, signal));
  }

  /** Writes chunks beside the target, then has `commit` put them in place; on failure nothing is left. */
  async function write(
    session: SftpSession,
    target: string,
    chunks: AsyncIterable<Buffer>,
    signal: AbortSignal,
    commit: (part: string) => Promise<void>,
  ): Promise<PutResult> {
    const { part, handle } = await openPart(session, place, target, signal);
    try {
      const result = await writeAll(session, handle, chunks, signal);
      await commit(part);
      return result;
    } catch (error) {
      // Asked before the part is gone: with it goes what filled the disk.
      const told = statusOf(error) === null ? error : await tell(session, error, signal);
      await clean(part);
      throw told;
    }
  }

  /** On a new connection, if it must be. What is left after all has the name of a part, and the sweep takes it. */
  async function clean(part: string): Promise<void> {
    const own = timeLimit(CLEANUP_MS);
    try {
      const session = await link.session(own);
      await removeFile(session, part, own);
      await pruneFolders(session, root, posix.dirname(part), own);
    } catch {
      // The first error is the one to tell.
    }
  }

  /** Every file below a prefix, its name from the destination's folder on. */
  async function* found(prefix: string, signal: AbortSignal): AsyncGenerator<FoundFile> {
    signal.throwIfAborted();
    const folder = toFolder(prefix);
    const session = await link.session(signal);
    try {
      await assertRoot(session, place, signal);
      yield* walk(session, pathOf(folder.slice(0, -1)), signal, folder);
    } catch (error) {
      throw translateStatus(error, place, false, null);
    }
  }

  return {
    async put(key, body, { signal, beforeCommit }) {
      const owned = ownBody(body, signal);
      try {
        assertKey(key);
        const target = pathOf(key);
        return await guarded('add', signal, (session) =>
          write(session, target, owned.chunks, signal, async (part) => {
            await beforeCommit?.();
            signal.throwIfAborted();
            await renameOver(session, part, target, uninterrupted);
          }),
        );
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
      await guarded('add', signal, (session) =>
        write(session, target, oneChunk(body), signal, async (part) => {
          signal.throwIfAborted();
          await linkInPlace(session, part, target, uninterrupted);
          // The object is there; should its second name stay, it looks like a part, and the sweep takes it.
          await removeFile(session, part, uninterrupted).catch(() => undefined);
        }),
      );
    },

    async open(key, { signal, start = 0, length }) {
      signal.throwIfAborted();
      assertKey(key);
      const path = pathOf(key);
      return guarded('read', signal, async (session) => {
        const found = await lstatOf(session, path, signal);
        if (!found?.isFile()) {
          await assertRoot(session, place, signal);
          throw new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination.`);
        }
        const handle = await session.call<Buffer>(signal, (sftp, done) => sftp.open(path, 'r', done));
        const { size, mtime } = await session
          .call<{ size: number; mtime: number }>(signal, (sftp, done) => sftp.fstat(handle, done))
          .catch(async (error: unknown) => {
            await closeHandle(session, handle).catch(() => undefined);
            throw error;
          });
        const bytes = Math.max(0, Math.min(length ?? Number.POSITIVE_INFINITY, size - start));
        const body = readStream(session, handle, { start, bytes }, signal, (error) =>
          translateStatus(error, place, false, null),
        );
        return { body, bytes, version: `${mtime} ${size}` };
      });
    },

    async stat(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      return guarded('read', signal, async (session) => {
        const found = await lstatOf(session, pathOf(key), signal);
        if (found?.isFile()) return { key, bytes: found.size, modifiedAt: new Date(found.mtime * 1000) };
        await assertRoot(session, place, signal);
        return null;
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
      await guarded('remove', signal, async (session) => {
        const found = await lstatOf(session, target, signal);
        if (!found) return assertRoot(session, place, signal);
        if (found.isDirectory()) return;
        await removeFile(session, target, signal);
        await pruneFolders(session, root, posix.dirname(target), signal);
      });
    },

    abortUploads(prefix, signal) {
      return guarded('remove', signal, async (session) => {
        let count = 0;
        for await (const file of found(prefix, signal)) {
          if (!PART_NAME.test(file.name)) continue;
          if (await removeFile(session, file.path, signal)) count += 1;
          await pruneFolders(session, root, posix.dirname(file.path), signal);
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
      link.close();
    },
  };
}

function listed({ name, bytes, modifiedAt }: FoundFile): ListedObject {
  return { ...listedName(Buffer.from(name)), bytes, modifiedAt };
}

/** A rename that is under way is not left: nobody could tell then what it has done. A lost connection ends it. */
const uninterrupted = new AbortController().signal;
