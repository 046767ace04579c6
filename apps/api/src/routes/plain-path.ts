import { posix } from 'node:path';

/** What the kernel makes up as it is read: never part of a backup, and reading it can harm. */
const NOT_FILES = ['/proc', '/sys', '/dev'];

/** What is wrong with a path that is to be kept, or to keep things in; nothing when it is absolute and in its plain form. */
export function plainPathFault(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must be absolute: begin it with /';
  if (path.split('/').includes('..')) return 'must not go up with ..';
  const plain = posix.resolve('/', path);
  if (plain !== path) return `must be in its plain form: ${plain}`;
  if (path === '/') return 'must not be the whole file system: name the folders to keep';
  const made = NOT_FILES.find((root) => isInside(path, root));
  return made && `lies in ${made}, which holds no real files`;
}

/** Whether a path is the folder or lies below it; both in their plain form. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
