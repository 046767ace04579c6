// Everything on the server is killed after each command that changes something; then it is finished, or undone.
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, findTool, snapshotTree, type TreeEntry } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import type { PreparedRestore } from '../../../types.ts';
import { localSession, service } from '../../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from '../testing-bench.ts';
import { stepsOver } from './testing-steps.ts';

let bench: Bench;
let tree: string;
let session: Session;
let tools: string;
let counter: string;
let current: PreparedRestore;
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'srv/tree');
  session = await localSession();
  tools = join(bench.dir, 'tools');
  counter = join(bench.dir, 'counter');
  await mkdir(tools);
  for (const name of ['mv', 'perl', 'mkdir', 'rmdir', 'touch', 'sync', 'tar', 'mktemp', 'rm', 'cp']) {
    const real = await findTool(name);
    if (!real) continue;
    const script = `#!/bin/sh
"${real}" "$@"
code=$?
count=$(($(cat "$COUNTER") + 1))
echo "$count" >"$COUNTER"
[ "$count" != "$KILL_AT" ] || kill -9 0
exit "$code"
`;
    await writeFile(join(tools, name), script);
    await chmod(join(tools, name), 0o755);
  }
});
afterEach(async () => {
  await session.close();
  await bench.close();
});

/** A session in which the command of this number is the last. */
function dying(at: number): Session {
  const env = { PATH: `${tools}:${process.env.PATH}`, COUNTER: counter, KILL_AT: String(at) };
  return {
    ...session,
    exec: (argv, options) => session.exec(argv, { ...options, env }),
    run: (argv, options) => session.run(argv, { ...options, env }),
    capabilities: (signal) => session.capabilities(signal),
  };
}

/** Of the commands one in so many ends it in a run of the tests; which, is left to chance and told by what fails. */
const EVERY = 4;

/** Runs it again and again, killed at one command after the other, until it gets through. Gives how often it was killed. */
async function atEach(
  what: (at: number) => Promise<(session: Session) => Promise<unknown>>,
  then: (at: number) => Promise<void>,
): Promise<number> {
  let killed = 0;
  for (let at = 1 + Math.floor(Math.random() * EVERY); ; at += EVERY) {
    const act = await what(at);
    await writeFile(counter, '0');
    const failed = await act(dying(at)).then(
      () => false,
      () => true,
    );
    await then(at);
    if (!failed && Number(await readFile(counter, 'utf8')) < at) return killed;
    killed += 1;
  }
}

const exclude = ['*.log'];
const everything = (): Promise<TreeEntry[]> => snapshotTree(join(bench.dir, 'srv'));

/** A service of three roots: a tree with survivors, a file, and a folder that is gone with its parent. */
async function disaster() {
  const roots = service([tree, join(bench.dir, 'srv/file'), join(bench.dir, 'srv/gone/deep')], exclude);
  await makeFiles(bench.dir, {
    'srv/file': 'old',
    'srv/gone/deep/x': 'old',
    'srv/tree/a/b/c': 'old',
    'srv/tree/d': 'old',
  });
  await bench.backUp(roots);
  const backedUp = await everything();
  await makeFiles(tree, {
    'a/b/c': 'newer',
    'a/b/x.log': 'log',
    'only/here/y.log': 'log',
    'z.log': 'log',
    new: 'new',
  });
  await unlink(join(tree, 'd'));
  await symlink('new', join(tree, 'd'));
  await writeFile(join(bench.dir, 'srv/file'), 'newer');
  await rm(join(bench.dir, 'srv/gone'), { recursive: true });
  return { roots, backedUp, before: await everything() };
}

const SURVIVORS = ['only', 'only/here', 'only/here/y.log', 'z.log', 'a/b/x.log'];
/** What no backup says: the time of a folder around what is restored. */
const counts = (line: string): boolean => !/^"(gone)?": mtimeNs/.test(line);
const isNew = (line: string): boolean => SURVIVORS.some((path) => line.startsWith(`"tree/${path}" is new`));

test('a restore that breaks off anywhere is finished, or undone', async () => {
  const { roots, backedUp, before } = await disaster();
  const killed = await atEach(
    async () => {
      const prepared = await stepsOver(bench, session).prepare(roots, { keep: [] });
      current = prepared;
      return (dead) => stepsOver(bench, dead).apply(prepared);
    },
    async (at) => {
      const steps = stepsOver(bench, session);
      if (Math.floor(at / EVERY) % 2 === 0) {
        await steps.apply(current);
        const faults = compareTrees(
          backedUp,
          (await everything()).filter(({ path }) => !path.includes('.tarfleet')),
        );
        expect([at, faults.filter((line) => !isNew(line) && counts(line))]).toEqual([at, []]);
        expect(faults.filter(isNew)).toHaveLength(SURVIVORS.length);
      }
      await steps.undo(current);
      await steps.forget(current);
      expect([at, compareTrees(before, await everything()).filter(counts)]).toEqual([at, []]);
    },
  );
  expect(killed).toBeGreaterThan(5);
}, 400_000);

test('an undo that breaks off anywhere is finished', async () => {
  const { roots, before } = await disaster();
  const killed = await atEach(
    async () => {
      const steps = stepsOver(bench, session);
      current = await steps.prepare(roots);
      await steps.apply(current);
      return (dead) => stepsOver(bench, dead).undo(current);
    },
    async (at) => {
      const steps = stepsOver(bench, session);
      await steps.undo(current);
      await steps.forget(current);
      expect([at, compareTrees(before, await everything()).filter(counts)]).toEqual([at, []]);
    },
  );
  expect(killed).toBeGreaterThan(3);
}, 400_000);

test('a restore in place that breaks off anywhere is finished, or undone', async () => {
  await mkdir(tree, { recursive: true });
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', tree]);
  try {
    const { roots, backedUp, before } = await disaster();
    for (const broken of ['apply', 'undo'] as const) {
      const killed = await atEach(
        async () => {
          const steps = stepsOver(bench, session);
          current = await steps.prepare(roots);
          if (broken === 'undo') await steps.apply(current);
          return (dead) => stepsOver(bench, dead)[broken](current);
        },
        async (at) => {
          const steps = stepsOver(bench, session);
          if (broken === 'apply' && Math.floor(at / EVERY) % 2 === 0) {
            await steps.apply(current);
            const after = (await everything()).filter(({ path }) => !path.includes('.tarfleet'));
            const faults = compareTrees(backedUp, after);
            expect([at, faults.filter((line) => !isNew(line) && counts(line))]).toEqual([at, []]);
            expect(faults.filter(isNew)).toHaveLength(SURVIVORS.length);
          }
          await steps.undo(current);
          await steps.forget(current);
          expect([at, compareTrees(before, await everything()).filter(counts)]).toEqual([at, []]);
        },
      );
      expect(killed).toBeGreaterThan(3);
    }
  } finally {
    await promisify(execFile)('umount', ['-l', tree]);
  }
}, 400_000);
