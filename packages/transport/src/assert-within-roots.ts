import { lstat, realpath } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { AppError, errnoOf } from '@tarfleet/kernel';

/**
 * Checks that every path lies in one of the folders that this worker allows, symlinks followed: of a path that
 * does not exist yet, its nearest existing ancestor counts. Paths must be absolute and plain (no `.`, `..`,
 * `//`). Returns what each path really is, in the same order. Throws PATH_REFUSED naming every path at fault.
 * It says what is true now: a caller that works later in folders that others can write must look again.
 */
export async function assertWithinRoots(
  paths: readonly string[],
  roots: readonly string[],
): Promise<string[]> {
  const realRoots: string[] = [];
  for (const root of roots) realRoots.push(await realpath(root).catch(() => plain(root) ?? root));
  const resolved: string[] = [];
  const faults: string[] = [];
  for (const path of paths) {
    const real = await resolve(path);
    if ('fault' in real) faults.push(`${path}: ${real.fault}`);
    else if (!realRoots.some((root) => isWithin(real.path, root))) {
      faults.push(real.path === path ? path : `${path} (really ${real.path})`);
    } else resolved.push(real.path);
  }
  if (faults.length > 0) {
    const allowed = roots.length > 0 ? `only allows ${roots.join(', ')}` : 'allows no local folder';
    throw new AppError(
      'PATH_REFUSED',
      `This worker ${allowed}. Refused: ${faults.join('; ')}. Choose paths inside, or change the worker's allowed roots.`,
      { details: { refused: faults } },
    );
  }
  return resolved;
}

/** The path without a slash at its end; null unless it is absolute and has no `.`, `..` or empty parts. */
function plain(path: string): string | null {
  const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path;
  return trimmed.startsWith('/') && normalize(trimmed) === trimmed && !trimmed.includes('\0')
    ? trimmed
    : null;
}

async function resolve(path: string): Promise<{ path: string } | { fault: string }> {
  const start = plain(path);
  if (start === null) return { fault: 'not an absolute, plain path' };
  let ancestor = start;
  for (;;) {
    try {
      return { path: join(await realpath(ancestor), start.slice(ancestor.length)) };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') return { fault: `cannot be resolved (${errnoOf(error)})` };
    }
    // A link whose target is missing exists itself: what is written through it would land at the target.
    const dangling = await lstat(ancestor).then(
      () => true,
      () => false,
    );
    if (dangling) return { fault: 'leads through a broken symbolic link' };
    if (ancestor === '/') return { fault: 'cannot be resolved' };
    ancestor = dirname(ancestor);
  }
}

function isWithin(path: string, root: string): boolean {
  return root === '/' || path === root || path.startsWith(`${root}/`);
}
