import { mkdir, open, realpath, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, errnoOf } from '@tarfleet/kernel';

/** Makes what was created, renamed or removed in a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems have no sync for folders; they order such changes themselves.
    if (errnoOf(error) !== 'EINVAL' && errnoOf(error) !== 'ENOTSUP') throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Makes the folders of a key below `root`, one by one and 0700, but never `root` itself: when that is gone its
 * disk is, and the key must not land on the one below. Returns the innermost.
 */
export async function makeFolders(root: string, names: readonly string[]): Promise<string> {
  let folder = root;
  for (const name of names) {
    const next = join(folder, name);
    try {
      await mkdir(next, { mode: 0o700 });
      await syncFolder(folder);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    folder = next;
  }
  await assertNoLinks(folder);
  return folder;
}

/** A link inside the destination would lead writes and reads out of it. */
export async function assertNoLinks(folder: string): Promise<void> {
  if ((await realpath(folder)) === folder) return;
  throw new AppError(
    'PATH_REFUSED',
    `The destination's folder ${folder} is reached through a symbolic link inside the destination. Remove the link.`,
  );
}

/** Removes folders that have become empty, from `folder` up to but not including `root`. */
export async function pruneFolders(root: string, folder: string): Promise<void> {
  for (let path = folder; path.startsWith(`${root}/`); path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      // Not empty, already gone, or not ours to remove: an empty folder is no object, so nothing is wrong.
      return;
    }
  }
}
