import {
  appendFile,
  chmod,
  chown,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { makeNastyTree } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { uuid } from '../testing.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { assertRoom } from './scratch-folder.ts';
import { openWorld, type World } from './testing-world.ts';

let w: World;
beforeEach(async () => {
  w = await openWorld();
});
afterEach(() => w.close());

/** The worker's own machine, on which something happens once tar has extracted. */
function after(happens: (folder: string) => Promise<unknown>): Partial<WorkerDeps> {
  return {
    async ownMachine(signal): Promise<Session> {
      const real = await w.deps.ownMachine(signal);
      return {
        ...real,
        async exec(argv, options) {
          const child = await real.exec(argv, options);
          if (!argv.includes('--extract')) return child;
          const folder =
            argv
              .map(String)
              .find((word) => word.startsWith('--directory='))
              ?.slice(12) ?? '';
          const done = child.done.then(async (exit) => {
            await happens(join(folder, w.tree));
            return exit;
          });
          return { ...child, done };
        },
      };
    },
  };
}

const restore = (backup: Parameters<World['verify']>[0], more: Parameters<World['verify']>[1] = {}) =>
  w.verify(backup, { level: 'test_restore', ...more });

test.each<[string, (at: string) => Promise<unknown>, RegExp]>([
  ['a file that is missing', (at) => unlink(join(at, 'text')), /text: it is missing/],
  [
    'a folder in a file’s place',
    (at) => rm(join(at, 'text')).then(() => mkdir(join(at, 'text'))),
    /is a directory/,
  ],
  ['a longer file', (at) => appendFile(join(at, 'text'), 'x'), /has 8 bytes instead of 7/],
  ['another mode', (at) => chmod(join(at, 'text'), 0o604), /mode is 604 instead of 640/],
  ['another owner', (at) => chown(join(at, 'text'), 12, 13), /belongs to 12:13/],
  ['another time', (at) => utimes(join(at, 'text'), 1, 1), /time is another/],
  ['a folder’s other time', (at) => utimes(join(at, 'folder'), 1, 1), /folder: its time is another/],
  [
    'another link',
    async (at) => {
      await unlink(join(at, 'link'));
      await symlink('elsewhere', join(at, 'link'));
      await lutimes(join(at, 'link'), 5, 5);
    },
    /link: it points elsewhere/,
  ],
  [
    'another content',
    async (at) => {
      await writeFile(join(at, 'text'), 'contenT');
      await utimes(join(at, 'text'), 5, 5);
    },
    /Contents differ/,
  ],
])(
  '%s is told',
  async (_what, happens, issue) => {
    await mkdir(join(w.tree, 'folder'), { recursive: true });
    await writeFile(join(w.tree, 'text'), 'content');
    await chmod(join(w.tree, 'text'), 0o640);
    await utimes(join(w.tree, 'text'), 5, 5);
    await symlink('text', join(w.tree, 'link'));
    await lutimes(join(w.tree, 'link'), 5, 5);
    const result = await restore(await w.backUp(), { deps: after(happens) });
    expect(result).toMatchObject({ valid: false, checks: { contents: 'failed', checksum: 'passed' } });
    expect(result.issues.join('\n')).toMatch(issue);
    expect(result.services).toMatchObject([{ restored: 'failed' }]);
    expect(await w.left()).toEqual([]);
  },
  60_000,
);

test('broken off in the middle, nothing is left; nor of an attempt that was killed', async () => {
  await makeNastyTree(w.tree);
  const backup = await w.backUp();
  const killed = join(w.tmpDir, `tarfleet-verify-${uuid(1)}-deadbeef0000`);
  await mkdir(join(killed, 'tree/some'), { recursive: true });
  const other = `tarfleet-verify-${uuid(2)}-deadbeef0000`;
  await mkdir(join(w.tmpDir, other));
  const stop = new AbortController();
  const reason = new AppError('CANCELLED', 'stop');
  const deps = after(async () => {
    expect(await w.left()).toEqual([expect.stringContaining('-abcdefabcdef'), other]);
    stop.abort(reason);
  });
  await expect(restore(backup, { deps, signal: stop.signal })).rejects.toBe(reason);
  expect(await readdir(w.tmpDir)).toEqual([other]);
}, 60_000);

test('without room it says so before anything is written', async () => {
  await assertRoom(tmpdir(), { bytes: 1, entries: 1 });
  const much = assertRoom(tmpdir(), { bytes: 1e18, entries: 1 });
  await expect(much).rejects.toMatchObject({
    code: 'INSUFFICIENT_STORAGE',
    message: expect.stringContaining('TMP_DIR'),
  });
  await mkdir(w.tree);
  const backup = await w.backUp({ encrypt: false });
  const huge = await w.rewrite(backup, (manifest) => {
    const [artifact] = manifest.artifacts;
    const index = { ...artifact!.index!, contentBytes: 1e15 };
    return { ...manifest, artifacts: [{ ...artifact!, index }] };
  });
  // What deep finds comes first: the manifest is not right.
  expect(await restore(huge)).toMatchObject({ valid: false, services: [{ restored: 'skipped' }] });
}, 60_000);

test('a worker without GNU tar cannot, and says nothing of the backup', async () => {
  await mkdir(w.tree);
  const backup = await w.backUp();
  const deps: Partial<WorkerDeps> = {
    async ownMachine(signal) {
      const real = await w.deps.ownMachine(signal);
      return {
        ...real,
        capabilities: async () => ({ ...(await real.capabilities(signal)), tar: 'busybox' }),
      };
    },
  };
  await expect(restore(backup, { deps })).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  expect(await w.left()).toEqual([]);
}, 60_000);

test('another user than root sets no owners and makes no devices, and finds no fault in that', async () => {
  await makeNastyTree(w.tree);
  await chown(join(w.tree, 'sparse'), 1234, 99);
  const backup = await w.backUp();
  let made = '';
  const { ownMachine } = after(async (folder) => {
    made = `${(await lstat(join(folder, 'sparse'))).uid}`;
  });
  const deps: Partial<WorkerDeps> = {
    async ownMachine(signal) {
      const real = await ownMachine!(signal);
      return { ...real, capabilities: async () => ({ ...(await real.capabilities(signal)), uid: 1000 }) };
    },
  };
  expect(await restore(backup, { deps })).toMatchObject({ valid: true, services: [{ restored: 'passed' }] });
  expect(made).toBe(`${process.getuid?.()}`);
  expect(await w.left()).toEqual([]);
}, 60_000);

test('a sparse file whose content is another one is told from one that is only sparse', async () => {
  await makeNastyTree(w.tree);
  await utimes(join(w.tree, 'sparse'), 5, 5);
  const backup = await w.backUp();
  const happens = async (at: string) => {
    const path = join(at, 'sparse');
    const file = await open(path, 'r+');
    await file.write('X', 8 << 20);
    await file.close();
    await utimes(path, 5, 5);
  };
  const result = await restore(backup, { deps: after(happens) });
  expect(result.issues.join()).toMatch(/Contents differ/);
  expect(result).toMatchObject({ valid: false, services: [{ restored: 'failed', corruptedFiles: 1 }] });
}, 60_000);

test.each(['quick', 'deep', 'test_restore'] as const)(
  'what a %s look has done is all in the end',
  async (level) => {
    await makeNastyTree(w.tree);
    const backup = await w.backUp();
    const told: Record<string, unknown>[] = [];
    await w.verify(backup, { level, progress: (one) => void told.push(one) });
    const last = told.at(-1) ?? {};
    // The holes of a sparse file are part of the total, and nobody reads them.
    expect([last.bytesDone, last.filesDone]).toEqual([last.bytesTotal, last.filesTotal]);
    expect(last.bytesDone).toBeGreaterThan(0);
  },
  60_000,
);
