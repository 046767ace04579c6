/** The destination's folder on an SFTP server: whether it is there, how full, and how files begin in it. */
import { posix } from 'node:path';
import { partPath } from '../keys.ts';
import { makeFolder, makeFolders } from './remote-folders.ts';
import { rootMissing, type SftpPlace, type SpaceFacts, STATUS, statusOf } from './sftp-faults.ts';
import type { SftpSession } from './sftp-session.ts';
import { openNew } from './write-file.ts';

/** Removing a folder that has become empty may meet a put into it: that many times the put makes it again. */
const FOLDER_TRIES = 20;
/** `ST_RDONLY` of statvfs. */
const READ_ONLY_FLAG = 1;
/** A disk with less left is full for what is written: it goes by the block. */
const FULL_BELOW = 64 * 1024;

/** For a call that found nothing: in a destination whose folder is missing it has looked in the wrong place. */
export async function assertRoot(session: SftpSession, place: SftpPlace, signal: AbortSignal): Promise<void> {
  const found = await session
    .call<{ isDirectory(): boolean }>(signal, (sftp, done) => sftp.stat(place.root, done))
    .catch((error: unknown) => {
      if (statusOf(error) === STATUS.noSuchFile) return null;
      throw error;
    });
  if (!found?.isDirectory()) throw rootMissing(place);
}

export async function spaceOf(
  session: SftpSession,
  root: string,
  signal: AbortSignal,
): Promise<SpaceFacts | null> {
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
export async function openPart(
  session: SftpSession,
  place: SftpPlace,
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
      await makeFolder(session, place.root, signal);
    } catch (error) {
      if (statusOf(error) === STATUS.noSuchFile) throw rootMissing(place);
      await assertRoot(session, place, signal);
    }
    const names = posix.relative(place.root, posix.dirname(target)).split('/').filter(Boolean);
    await makeFolders(session, place.root, names, signal).catch((error: unknown) => {
      // Another call has just removed one of them, or a file stands in its place: the next try shows which.
      if (statusOf(error) !== STATUS.noSuchFile || tries + 1 === FOLDER_TRIES) throw error;
    });
  }
}
