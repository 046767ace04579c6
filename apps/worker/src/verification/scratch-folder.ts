import { mkdir, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf, timeLimit } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';

/** For clearing up, whatever became of the attempt. */
const CLEANUP_MS = 10 * 60_000;

/** A folder of one attempt's own on the worker's disk. */
export interface ScratchFolder {
  path: string;
  /** Safe to call twice, and after an abort. */
  remove(): Promise<void>;
}

/**
 * Makes the folder, for this user alone, after what earlier attempts at the job left on this machine is removed.
 * Each attempt has a name of its own, so that one that was thought dead removes nothing of its successor's.
 */
export async function makeScratchFolder(
  session: Session,
  { tmpDir, jobId, token }: { tmpDir: string; jobId: string; token: string },
  signal: AbortSignal,
): Promise<ScratchFolder> {
  const prefix = `tarfleet-verify-${jobId}-`;
  for (const name of await readdir(tmpDir)) {
    if (name.startsWith(prefix)) await removeFolder(session, join(tmpDir, name), signal);
  }
  const path = join(tmpDir, prefix + token);
  await mkdir(path, { mode: 0o700 }).catch((cause: unknown) => {
    throw new AppError(
      'UNAVAILABLE',
      `The worker cannot make a folder in its TMP_DIR ${tmpDir} (${errnoOf(cause)}).`,
      { retryable: true, cause },
    );
  });
  return { path, remove: () => removeFolder(session, path, timeLimit(CLEANUP_MS)) };
}

/** INSUFFICIENT_STORAGE when the files, blocks rounded up, do not fit; what others write meanwhile is not foreseen. */
export async function assertRoom(
  folder: string,
  { bytes, entries }: { bytes: number; entries: number },
): Promise<void> {
  const { bavail, bsize, ffree, files } = await statfs(folder);
  const needed = bytes + entries * bsize;
  if (bavail * bsize >= needed && (files === 0 || ffree >= entries)) return;
  throw new AppError(
    'INSUFFICIENT_STORAGE',
    `A test restore needs room for ${needed} bytes in ${entries} files on the worker, and its TMP_DIR has room for ${bavail * bsize} bytes and ${ffree} files. Make room there, verify fewer components, or verify without test_restore.`,
  );
}

/** Names need not be UTF-8, and folders of others than root may forbid their own removal. */
async function removeFolder(session: Session, path: string, signal: AbortSignal): Promise<void> {
  const script =
    '[ -e "$1" ] || exit 0\n[ "$(id -u)" = 0 ] || find "$1" -type d ! -perm -700 -exec chmod u+rwx {} \';\'\nexec rm -rf -- "$1"';
  const { code, stderr } = await session.run(['sh', '-c', script, 'sh', path], { signal });
  if (code === 0) return;
  throw new AppError(
    'COMMAND_FAILED',
    `The folder ${path} could not be removed: ${stderr.toString().trim()}`,
  );
}
