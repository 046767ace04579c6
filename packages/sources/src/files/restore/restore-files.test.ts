import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Readable, Transform } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import {
  compareTrees,
  makeNastyTree,
  makeRealisticTree,
  type RunningSshd,
  requireTools,
  snapshotTree,
  startSshd,
} from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { localSession, processesWith, service, sshSession } from '../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from './testing-bench.ts';

const run = promisify(execFile);
let bench: Bench;
let tree: string;
let sshd: RunningSshd;
beforeAll(async () => {
  await requireTools(['setfacl', 'setfattr']);
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'tree');
});
afterEach(() => bench.close());

describe.each(['local', 'ssh'])('over a session of kind %s', (kind) => {
  let session: Session;
  beforeEach(async () => {
    session = kind === 'local' ? await localSession() : await sshSession(sshd);
  });
  afterEach(() => session.close());

  test('what was deleted and damaged comes back, every byte and attribute', async () => {
    await makeNastyTree(join(tree, 'nasty'));
    await makeRealisticTree(join(tree, 'real'), 20_000_000, 2);
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await damage();
    const result = await bench.restore(service([tree]), { session });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
    expect(result).toMatchObject({ warnings: [], filesSkipped: 0 });
    expect(result.filesRestored).toBe(before.filter((entry) => entry.type !== 'directory').length);
    expect(await bench.leftovers()).toEqual([]);
    const { blocks } = await stat(join(tree, 'nasty/sparse'));
    expect(blocks * 512).toBeLessThan(1_000_000);
  });

  test('a whole tree that is gone comes back with its parents', async () => {
    tree = join(bench.dir, 'some/where/tree');
    await makeNastyTree(tree);
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await rm(join(bench.dir, 'some'), { recursive: true });
    await bench.restore(service([tree]), { session });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
    expect((await stat(join(bench.dir, 'some/where'))).mode & 0o7777).toBe(0o755);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('below another folder, with the whole path', async () => {
    await makeNastyTree(tree);
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await rm(join(tree, 'empty file'));
    const damaged = await snapshotTree(tree);
    const to = join(bench.dir, 'to "here"\n');
    await bench.restore(service([tree]), { session, restorePath: to, overwrite: false });
    expect(compareTrees(before, await snapshotTree(join(to, tree)))).toEqual([]);
    expect(compareTrees(damaged, await snapshotTree(tree))).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('without overwriting, what is there stays and is counted', async () => {
    await makeFiles(tree, { 'a/kept': 'old', 'a/gone': 'old', 'b/x/gone': 'old', c: 'old' });
    await bench.backUp(service([tree]));
    await makeFiles(tree, { 'a/kept': 'newer', added: 'newer' });
    await unlink(join(tree, 'a/gone'));
    await rm(join(tree, 'b'), { recursive: true });
    await unlink(join(tree, 'c'));
    await mkdir(join(tree, 'c'));
    await chmod(join(tree, 'a'), 0o700);
    const result = await bench.restore(service([tree]), { session, overwrite: false });
    expect(result).toMatchObject({ filesRestored: 2, filesSkipped: 2, bytesRestored: 6 });
    expect(await readFile(join(tree, 'a/kept'), 'utf8')).toBe('newer');
    expect(await readFile(join(tree, 'a/gone'), 'utf8')).toBe('old');
    expect(await readFile(join(tree, 'b/x/gone'), 'utf8')).toBe('old');
    expect(await readFile(join(tree, 'added'), 'utf8')).toBe('newer');
    expect((await stat(join(tree, 'c'))).isDirectory()).toBe(true);
    expect((await stat(join(tree, 'a'))).mode & 0o777).toBe(0o700);
  });

  test('overwriting leaves exactly what the archive holds', async () => {
    await makeFiles(tree, { 'a/file': 'old', b: 'old' });
    await bench.backUp(service([tree]));
    const before = await snapshotTree(tree);
    await makeFiles(tree, { 'a/file': 'newer', 'a/mine': 'mine', 'd/e': 'mine' });
    const result = await bench.restore(service([tree]), { session });
    expect(result).toMatchObject({ filesRestored: 2, filesSkipped: 0, bytesRestored: 6 });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
  });

  test('a file where the archive has a folder, and the other way round, give way', async () => {
    await makeFiles(tree, { 'dir/inside': 'old', file: 'old' });
    await symlink('file', join(tree, 'link'));
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await rm(join(tree, 'dir'), { recursive: true });
    await rename(join(tree, 'file'), join(tree, 'dir'));
    await mkdir(join(tree, 'file'));
    await unlink(join(tree, 'link'));
    await mkdir(join(tree, 'link'));
    await bench.restore(service([tree]), { session });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('an abort while it extracts leaves everything as it was', async () => {
    await makeRealisticTree(tree, 20_000_000, 3);
    await bench.backUp(service([tree]));
    await rm(join(tree, (await readdir(tree))[0] ?? ''), { recursive: true });
    const before = await snapshotTree(tree);
    const controller = new AbortController();
    const reason = new AppError('CANCELLED', 'Cancelled.');
    const jobId = randomBytes(8).toString('hex');
    const cancelled = bench.restore(service([tree]), {
      session,
      jobId,
      signal: controller.signal,
      openTar: async () => halt(createReadStream(bench.archive), 5_000_000, () => controller.abort(reason)),
    });
    await expect(cancelled).rejects.toBe(reason);
    expect(await processesWith(jobId)).toEqual([]);
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });
});

/** Deletes and damages some of the tree, with odd attributes on what is left. */
async function damage(): Promise<void> {
  await run(
    'sh',
    [
      '-c',
      `find . -type f | awk 'NR % 3 == 0' | tr '\\n' '\\0' | xargs -0 -r rm -f -- 2>/dev/null
       find . -type f -name '*.js' | awk 'NR % 2 == 0' | while IFS= read -r f; do echo damaged >"$f"; done
       find . -mindepth 1 -type d | awk 'NR % 4 == 0' | while IFS= read -r d; do chmod 711 "$d"; chown 99:98 "$d"; done
       find . -type l -delete; rm -rf 'nasty/empty folder'`,
    ],
    { cwd: tree },
  );
}

/** Passes on so many bytes, then does something, and gives nothing more. */
function halt(source: Readable, after: number, then: () => void): Readable {
  let passed = 0;
  const out = new PassThrough();
  source.on('data', (chunk: Buffer) => {
    passed += chunk.length;
    if (passed <= after) out.write(chunk);
    else {
      source.destroy();
      then();
    }
  });
  return out;
}

test('what an attempt that died left is removed by the next; what is not ours is not', async () => {
  await makeFiles(tree, { a: 'old' });
  await bench.backUp(service([tree]));
  const jobId = randomBytes(8).toString('hex');
  const stage = join(bench.dir, `.tarfleet-restore-${jobId}`);
  await mkdir(stage, { mode: 0o700 });
  await makeFiles(stage, { 'tree/x/y': 'left' });
  await bench.restore(service([tree]), { jobId });
  expect(await bench.leftovers()).toEqual([]);
  const other = randomBytes(8).toString('hex');
  await mkdir(join(bench.dir, 'precious'));
  await symlink('precious', join(bench.dir, `.tarfleet-restore-${other}`));
  await expect(bench.restore(service([tree]), { jobId: other })).rejects.toMatchObject({ name: 'AppError' });
  expect(await readlink(join(bench.dir, `.tarfleet-restore-${other}`))).toBe('precious');
});

test('nothing is changed when the archive turns out damaged at its end', async () => {
  await makeFiles(tree, { a: 'old', b: 'old' });
  await bench.backUp(service([tree]));
  await writeFile(join(tree, 'a'), 'newer');
  const whole = await readFile(bench.archive);
  for (const bytes of [
    whole.subarray(0, 2048),
    whole.subarray(0, whole.length - 60_000),
    Buffer.concat([whole, Buffer.from('x')]),
  ]) {
    await writeFile(bench.archive, bytes);
    await expect(bench.restore(service([tree]))).rejects.toMatchObject({ code: 'ARCHIVE_MALFORMED' });
    expect(await readFile(join(tree, 'a'), 'utf8')).toBe('newer');
    expect(await bench.leftovers()).toEqual([]);
  }
});

test("the stream's own error is the restore's, and nothing is changed", async () => {
  await makeFiles(tree, { a: 'old' });
  await bench.backUp(service([tree]));
  await unlink(join(tree, 'a'));
  const error = new AppError('BACKUP_CORRUPTED', 'Damaged.');
  const openTar = async (): Promise<Readable> =>
    createReadStream(bench.archive).pipe(
      new Transform({
        transform: (chunk, _encoding, done) => done(null, chunk),
        flush: (done) => done(error),
      }),
    );
  await expect(bench.restore(service([tree]), { openTar })).rejects.toBe(error);
  expect(await readdir(tree)).toEqual([]);
  expect(await bench.leftovers()).toEqual([]);
});
