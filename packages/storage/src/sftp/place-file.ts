/** How a part file becomes an object, by what the server can. */
import { AppError } from '@tarfleet/kernel';
import { lstatOf } from './remote-folders.ts';
import { STATUS, statusOf } from './sftp-faults.ts';
import type { SftpSession } from './sftp-session.ts';

/** No error when it is gone already. */
export async function removeFile(session: SftpSession, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await session.call(signal, (sftp, done) => sftp.unlink(path, done));
    return true;
  } catch (error) {
    if (statusOf(error) === STATUS.noSuchFile) return false;
    throw error;
  }
}

/**
 * Renames over what is there, in one step where the server has OpenSSH's extension. The protocol's own rename refuses a
 * name that is taken: there the old object is removed first, and for a moment there is none.
 */
export async function renameOver(
  session: SftpSession,
  part: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    return await session.call(signal, (sftp, done) => sftp.ext_openssh_rename(part, target, done));
  } catch (error) {
    if (statusOf(error) !== STATUS.unsupported) throw error;
  }
  await removeFile(session, target, signal);
  await session.call(signal, (sftp, done) => sftp.rename(part, target, done));
}

/**
 * Puts a whole part file in place only if the name is free, else OBJECT_EXISTS: a link fails where the name is taken, so
 * exactly one of several writers wins. The part stays then. Where the server or its disk has no hard links it is renamed,
 * which the protocol refuses for a name that is taken; how surely, when several do it at once, is up to the server.
 */
export async function linkInPlace(
  session: SftpSession,
  part: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const whenTaken = async (error: unknown): Promise<never> => {
    // Version 3 has no status for it.
    if (statusOf(error) !== null && (await lstatOf(session, target, signal)) !== null) {
      throw new AppError('OBJECT_EXISTS', 'An object of that key is already in the destination.');
    }
    throw error;
  };
  try {
    return await session.call(signal, (sftp, done) => sftp.ext_openssh_hardlink(part, target, done));
  } catch (error) {
    const noLinks = statusOf(error) === STATUS.unsupported || statusOf(error) === STATUS.denied;
    if (!noLinks) return whenTaken(error);
  }
  await session.call(signal, (sftp, done) => sftp.rename(part, target, done)).catch(whenTaken);
}

/** For what a failed or aborted call has left. */
export const CLEANUP_MS = 30_000;

export async function* oneChunk(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
