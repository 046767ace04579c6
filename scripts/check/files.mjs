import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './process.mjs';

/** Every file that a clone has or would have after `git add`, relative to the root, sorted. Asked anew each time: files come and go. */
export function repositoryFiles() {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .sort();
  if (listed.length === 0) throw new Error('git lists no files here.');
  return listed;
}

/** Where our code is; the scripts included. */
export const codeFolders = ['apps', 'packages', 'bench', 'e2e', 'prisma', 'scripts', 'tools'];

/** Code written by hand: generated code is ignored by git, and so is not listed at all. */
export function sourceFiles() {
  return repositoryFiles().filter(
    (path) => /\.([cm]?[jt]s|[jt]sx)$/.test(path) && codeFolders.includes(path.split('/')[0]),
  );
}

/** Tests, and what tests share; `tests` in .dependency-cruiser.cjs says the same. */
export const isTest = (path) =>
  /\.test\.ts$|\/testing\/[^/]+\.ts$|\/(testing|testing-[a-z0-9-]+|test-support)\.ts$/.test(path);

export const readText = (path) => readFileSync(join(root, path), 'utf8');
