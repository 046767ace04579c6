import { mkdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { AppError, errnoOf } from '@tarfleet/kernel';
import { syncFolder } from './folders.ts';
import { translateFsError } from './fs-errors.ts';

/**
 * Where a destination's folder really is, symlinks followed, inside one of the allowed roots (else
 * LOCAL_NOT_ALLOWED). A missing folder is made when `create` is set and its parent exists inside a root; nothing
 * above it is ever made, since a missing parent is most often a disk that is not mounted: DESTINATION_NOT_FOUND.
 */
export async function resolveRoot(
  path: string,
  allowedRoots: readonly string[],
  options: { create: boolean },
): Promise<string> {
  if (!isAbsolute(path)) throw missing(path);
  const wanted = resolve(path);
  try {
    const real = await realpath(wanted);
    await assertAllowed(wanted, real, allowedRoots);
    if (!(await stat(real)).isDirectory()) throw notFound(`${path} is not a folder.`);
    return real;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw translateFsError(error, { root: path, writing: options.create });
  }
  const parent = await realpath(dirname(wanted)).catch(() => null);
  if (parent === null || wanted === '/') {
    // Said even where it does not exist, so that the message tells nothing of folders outside the roots.
    await assertAllowed(wanted, wanted, allowedRoots);
    throw missing(path);
  }
  const real = join(parent, basename(wanted));
  await assertAllowed(wanted, parent, allowedRoots);
  if (!options.create) throw missing(path);
  try {
    await mkdir(real, { mode: 0o700 });
    await syncFolder(parent);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw translateFsError(error, { root: path, writing: true });
    // A broken link stands there, or another process made the folder just now: the latter is fine.
    if ((await realpath(wanted).catch(() => null)) !== real)
      throw notFound(`${path} is a symbolic link that leads nowhere. Is the disk mounted that it leads to?`);
  }
  return real;
}

async function assertAllowed(shown: string, real: string, allowedRoots: readonly string[]): Promise<void> {
  for (const root of allowedRoots) {
    const realRoot = await realpath(root).catch(() => resolve(root));
    if (realRoot === '/' || real === realRoot || real.startsWith(`${realRoot}/`)) return;
  }
  throw new AppError(
    'LOCAL_NOT_ALLOWED',
    `The folder ${shown} is outside the folders that this host allows for local destinations${real === shown ? '' : ' once its symbolic links are followed'}. Choose one inside, or extend the allowed roots.`,
  );
}

function missing(path: string): AppError {
  return notFound(`folder ${path} does not exist here. Is its disk mounted?`);
}

function notFound(what: string): AppError {
  return new AppError('DESTINATION_NOT_FOUND', `The destination ${what}`);
}
