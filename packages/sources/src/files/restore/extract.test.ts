import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, makeNastyTree, snapshotTree } from '@tarfleet/testbed';
import { localSession, processesWith, service, until } from '../testing-sessions.ts';
import { readExtractMessage } from './extract-messages.ts';
import { type Bench, createBench, makeFiles } from './testing-bench.ts';

const run = promisify(execFile);
let bench: Bench;
let tree: string;
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'tree');
});
afterEach(() => bench.close());

/** Gives all of a file but its end, and then neither more nor an end. */
async function stalled(path: string): Promise<Readable> {
  const { size } = await stat(path);
  return createReadStream(path, { end: size - 20_000 }).pipe(new PassThrough(), { end: false });
}

test('a disk that is full is told at once, though the archive has not ended', async () => {
  await makeFiles(tree, { big: 'x'.repeat(12_000_000), small: 'old' });
  await bench.backUp(service([tree]));
  const small = join(bench.dir, 'small');
  await mkdir(small);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small]);
  try {
    const openTar = (): Promise<Readable> => stalled(bench.archive);
    await expect(bench.restore(service([tree]), { restorePath: small, openTar })).rejects.toMatchObject({
      code: 'INSUFFICIENT_STORAGE',
    });
    expect(await readdir(small)).toEqual([]);
  } finally {
    await run('umount', ['-l', small]);
  }
});

test('a tar that is killed fails the restore, though the archive has not ended', async () => {
  await makeFiles(tree, { a: 'old', b: 'x'.repeat(100_000) });
  await bench.backUp(service([tree]));
  await writeFile(join(tree, 'a'), 'newer');
  const openTar = (): Promise<Readable> => stalled(bench.archive);
  const jobId = `killed-${process.pid}`;
  const running = bench.restore(service([tree]), { openTar, jobId });
  running.catch(() => undefined);
  const name = `--directory=tree\0--\0${tree.slice(1)}`;
  await until(async () => (await processesWith(name)).length > 0);
  for (const id of await processesWith(name)) process.kill(id, 'SIGKILL');
  await expect(running).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('tar failed on the server'),
  });
  expect(await readFile(join(tree, 'a'), 'utf8')).toBe('newer');
  expect(await bench.leftovers()).toEqual([]);
});

test.each(['names that begin with ./', 'plain names'])('a whole server below a folder: %s', async (how) => {
  await makeNastyTree(tree);
  const before = await snapshotTree(tree);
  const names = how === 'plain names' ? 'find . -mindepth 1 -printf "%P\\0"' : 'find . -print0';
  await run('sh', [
    '-c',
    `cd "$1" && ${names} | tar --create --file="$2" --format=pax --sparse --numeric-owner --xattrs "--xattrs-include=*" --acls \
       --pax-option=delete=atime,delete=ctime,comment=tarfleet-roots:d/ --no-recursion --null --verbatim-files-from --files-from=-`,
    ...['sh', tree, bench.archive],
  ]);
  const to = join(bench.dir, 'new/to');
  const session = await localSession();
  for (const round of ['missing', 'existing']) {
    await bench.restore(service(['/']), { restorePath: to, session });
    const faults = compareTrees(before, await snapshotTree(to));
    // The top's own attributes are not always in the archive.
    expect([round, faults.filter((line) => !line.startsWith('"":'))]).toEqual([round, []]);
    expect(await bench.leftovers()).toEqual([]);
    await rm(join(to, 'empty file'));
  }
  await session.close();
});

test('a root that the archive names but does not hold is a warning', async () => {
  await makeFiles(tree, { a: 'a' });
  await run('tar', [
    ...['-cf', bench.archive, '--format=pax', '-C', bench.dir],
    ...['--pax-option=comment=tarfleet-roots:d/tree:d/gone', 'tree'],
  ]);
  const to = join(bench.dir, 'to');
  const result = await bench.restore(service([]), { restorePath: to });
  expect(result).toMatchObject({
    filesRestored: 1,
    warnings: [{ code: 'PATH_NOT_FOUND', path: Buffer.from('/gone') }],
  });
  expect(await readdir(to)).toEqual(['tree']);
});

test.each([
  [
    'tar: "a \\"b\\n\\351": Cannot change ownership to uid 0, gid 0: Operation not permitted',
    'OWNER_NOT_RESTORED',
  ],
  ['tar: "dev/x": Cannot mknod: Operation not permitted', 'NODE_NOT_RESTORED'],
  ['tar: "x": Warning: Cannot acl_set_file_at: Operation not supported', 'ATTRIBUTES_NOT_RESTORED'],
  [
    "tar: setxattrat: Cannot set 'security.x' extended attribute for file 'a: b': Operation not permitted",
    'ATTRIBUTES_NOT_RESTORED',
  ],
  ['tar: Exiting with failure status due to previous errors', 'nothing'],
  ["tar: Ignoring unknown extended header keyword 'LIBARCHIVE.xattr.user.x'", 'nothing'],
  ['tar: "x": time stamp 2099-01-01 00:00:00 is 12345.6 s in the future', 'nothing'],
  ['tar: "x": Cannot open: Permission denied', null],
  ['tar: "x": Cannot hard link to "y": No such file or directory', null],
  ['sh: 1: tar: not found', null],
])('tar says: %s', (line, meaning) => {
  const message = readExtractMessage(line);
  expect(message !== null && typeof message === 'object' ? message.code : message).toBe(meaning);
});
