import { posix } from 'node:path';
import type { DestinationSecrets, SftpDestinationConfig } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { assertKey, isKey, PART_NAME, partPath, toFolder } from '../keys.ts';
import { ownBody } from '../owned-body.ts';
import type { Driver, PutResult } from '../types.ts';
import { connectSftp, type SftpTimeouts } from './connect-sftp.ts';
import { CLEANUP_MS, linkInPlace, oneChunk, removeFile, renameOver } from './place-file.ts';
import { readStream } from './read-stream.ts';
import { lstatOf, makeFolder, makeFolders, pruneFolders, walk } from './remote-folders.ts';
import { rootMissing, type SpaceFacts, STATUS, statusOf, translateStatus } from './sftp-faults.ts';
import { createSftpLink } from './sftp-link.ts';
import type { SftpSession } from './sftp-session.ts';
import { closeHandle, openNew, writeAll } from './write-file.ts';

/** Removing a folder that has become empty may meet a put into it: that many times the put makes it again. */
const FOLDER_TRIES = 20;
/** `ST_RDONLY` of statvfs. */
const READ_ONLY_FLAG = 1;
/** A disk with less left is full for what is written: it goes by the block. */
const FULL_BELOW = 64 * 1024;

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
      const space = kind === 'read' ? null : await spaceOf(session, signal);
      throw translateStatus(error, place, kind !== 'read', space);
    }
  }

  /** Where a call found nothing: in a destination whose folder is missing it has looked in the wrong place. */
  async function assertRoot(session: SftpSession, signal: AbortSignal): Promise<void> {
    const found = await session
      .call<{ isDirectory(): boolean }>(signal, (sftp, done) => sftp.stat(root, done))
      .catch((error: unknown) => {
        if (statusOf(error) === STATUS.noSuchFile) return null;
        throw error;
      });
    if (!found?.isDirectory()) throw rootMissing(place);
  }

  async function spaceOf(session: SftpSession, signal: AbortSignal): Promise<SpaceFacts | null> {
    try {
      const facts = await session.call<Record<string, number | bigint>>(signal, (sftp, done) =>
        sftp.ext_openssh_statvfs(root, done),
      );
      const left = Number(facts.f_bavail) * Number(facts.f_frsize);
      return { full: left < FULL_BELOW, readOnly: (Number(facts.f_flag) & READ_ONLY_FLAG) !== 0 };
    } catch {
      // An extension that not every server has: then the status alone has to do.
      return null;
    }
  }

  /** Opens a part file for a key, its folders made; the destination's own only where its parent is there. */
  async function openPart(
    session: SftpSession,
    target: string,
    signal: AbortSignal,
  ): Promise<{ part: string; handle: Buffer }> {
    for (let tries = 1; ; tries += 1) {
      const part = partPath(target);
      try {
        return { part, handle: await openNew(session, part, signal) };
      } catch (error) {
        if (statusOf(error) !== STATUS.noSuchFile || tries === FOLDER_TRIES) throw error;
      }
      try {
        await makeFolder(session, root, signal);
      } catch (error) {
        if (statusOf(error) === STATUS.noSuchFile) throw rootMissing(place);
        await assertRoot(session, signal);
      }
      const names = posix.relative(root, posix.dirname(target)).split('/').filter(Boolean);
      await makeFolders(session, root, names, signal).catch((error: unknown) => {
        // Another call has just removed one of them, or a file stands in its place: the next try shows which.
        if (statusOf(error) !== STATUS.noSuchFile || tries + 1 === FOLDER_TRIES) throw error;
      });
    }
  }

  /** Writes chunks beside the target, then has `commit` put them in place; on failure nothing is left. */
  async function write(
    session: SftpSession,
    target: string,
    chunks: AsyncIterable<Buffer>,
    signal: AbortSignal,
    commit: (part: string) => Promise<void>,
  ): Promise<PutResult> {
    const { part, handle } = await openPart(session, target, signal);
    try {
      const result = await writeAll(session, handle, chunks, signal);
      await commit(part);
      return result;
    } catch (error) {
      await clean(part);
      throw error;
    }
  }

  /** On a new connection, if it must be. What is left after all has the name of a part, and the sweep takes it. */
  async function clean(part: string): Promise<void> {
    const own = AbortSignal.timeout(CLEANUP_MS);
    try {
      const session = await link.session(own);
      await removeFile(session, part, own);
      await pruneFolders(session, root, posix.dirname(part), own);
    } catch {
      // The first error is the one to tell.
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
          await linkInPlace(session, part, target, body, uninterrupted);
          // The object is there; should its second name stay, it looks like a part, and the sweep takes it.
          await removeFile(session, part, uninterrupted).catch(() => undefined);
        }),
      );
    },

    async get(key, { signal, start = 0, length }) {
      signal.throwIfAborted();
      assertKey(key);
      const path = pathOf(key);
      return guarded('read', signal, async (session) => {
        const found = await lstatOf(session, path, signal);
        if (!found?.isFile()) {
          await assertRoot(session, signal);
          throw new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination.`);
        }
        const handle = await session.call<Buffer>(signal, (sftp, done) => sftp.open(path, 'r', done));
        const { size } = await session
          .call<{ size: number }>(signal, (sftp, done) => sftp.fstat(handle, done))
          .catch(async (error: unknown) => {
            await closeHandle(session, handle).catch(() => undefined);
            throw error;
          });
        const bytes = Math.max(0, Math.min(length ?? Number.POSITIVE_INFINITY, size - start));
        return readStream(session, handle, { start, bytes }, signal, (error) =>
          translateStatus(error, place, false, null),
        );
      });
    },

    async stat(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      return guarded('read', signal, async (session) => {
        const found = await lstatOf(session, pathOf(key), signal);
        if (found?.isFile()) return { key, bytes: found.size };
        await assertRoot(session, signal);
        return null;
      });
    },

    async *list(prefix, signal) {
      signal.throwIfAborted();
      const folder = toFolder(prefix);
      const session = await link.session(signal);
      try {
        await assertRoot(session, signal);
        for await (const file of walk(session, pathOf(folder.slice(0, -1)), signal, folder)) {
          // Part files are no objects yet; a name that is no key was put there by somebody else.
          if (isKey(file.name)) yield { key: file.name, bytes: file.bytes };
        }
      } catch (error) {
        throw translateStatus(error, place, false, null);
      }
    },

    async delete(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      const target = pathOf(key);
      await guarded('remove', signal, async (session) => {
        const found = await lstatOf(session, target, signal);
        if (!found) return assertRoot(session, signal);
        if (found.isDirectory()) return;
        await removeFile(session, target, signal);
        await pruneFolders(session, root, posix.dirname(target), signal);
      });
    },

    abortUploads(prefix, signal) {
      return guarded('remove', signal, async (session) => {
        const folder = toFolder(prefix);
        await assertRoot(session, signal);
        let count = 0;
        for await (const file of walk(session, pathOf(folder.slice(0, -1)), signal, folder)) {
          if (!PART_NAME.test(file.name)) continue;
          if (await removeFile(session, file.path, signal)) count += 1;
          await pruneFolders(session, root, posix.dirname(file.path), signal);
        }
        return count;
      });
    },

    async close() {
      link.close();
    },
  };
}

/** A rename that is under way is not left: nobody could tell then what it has done. A lost connection ends it. */
const uninterrupted = new AbortController().signal;
