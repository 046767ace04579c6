import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { calm, localSession, service } from '../testing-sessions.ts';
import { makeStage, plannedStage, removeStage, type Stage } from './stage.ts';
import { type Bench, createBench, makeFiles } from './testing-bench.ts';

let bench: Bench;
let session: Session;
beforeEach(async () => {
  bench = await createBench();
  session = await localSession();
});
function planStage(jobId = randomBytes(8).toString('hex')): Stage {
  return plannedStage({ base: Buffer.from(bench.dir), roots: [] }, jobId);
}
afterEach(async () => {
  await session.close();
  await bench.close();
});

test.each(['the same attempt', 'the next attempt'])(
  'what was moved aside and not replaced is put back by %s',
  async (who) => {
    const before = await snapshotTree(bench.dir);
    const planned = planStage();
    const stage = { ...planned, identity: await makeStage(session, planned, calm()) };
    const aside = join(bench.dir, stage.name, 'aside');
    const lost = join(bench.dir, 'lost \\n"\n');
    await makeFiles(join(aside, '1'), { deep: 'precious' });
    await writeFile(join(aside, '1.path'), lost);
    await writeFile(join(aside, '2'), 'old');
    await writeFile(join(aside, '2.path'), join(bench.dir, 'replaced'));
    await writeFile(join(bench.dir, 'replaced'), 'new');
    // Noted, and never moved.
    await writeFile(join(aside, '3.path'), join(bench.dir, 'never'));
    if (who === 'the next attempt') stage.identity = await makeStage(session, planned, calm());
    await removeStage(session, stage, calm());
    expect(await readFile(join(lost, 'deep'), 'utf8')).toBe('precious');
    expect(await readFile(join(bench.dir, 'replaced'), 'utf8')).toBe('new');
    expect((await readdir(bench.dir)).length).toBe(2);
    await rm(lost, { recursive: true });
    await rm(join(bench.dir, 'replaced'));
    expect(
      compareTrees(before, await snapshotTree(bench.dir)).filter((line) => !line.includes('mtime')),
    ).toEqual([]);
  },
);

test('the stage of a later attempt is not removed by an earlier one', async () => {
  const planned = planStage('twice');
  const first = { ...planned, identity: await makeStage(session, planned, calm()) };
  await makeStage(session, planStage('twice'), calm());
  await removeStage(session, first, calm());
  expect(await readdir(bench.dir)).toEqual([planned.name]);
});

test('making and removing a stage leaves the time of the folder around it', async () => {
  const before = await snapshotTree(bench.dir);
  const planned = planStage();
  await removeStage(session, { ...planned, identity: await makeStage(session, planned, calm()) }, calm());
  expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
});

test('names of every byte, and what a shell would expand, in folders that are there', async () => {
  const tree = join(bench.dir, 'tree');
  const at = (...parts: (string | Buffer)[]): Buffer =>
    Buffer.concat([Buffer.from(tree), ...parts.flatMap((part) => [Buffer.from('/'), Buffer.from(part)])]);
  const names: Buffer[] = [
    '*',
    '?',
    '[a-z]',
    '\\',
    '\\n',
    '\\*',
    '$(x)',
    '`x`',
    '-f',
    '--',
    '.x',
    '..x',
    '...',
    '~',
    ' ',
    '\n',
    'a\n',
    '%s',
    '{a,b}',
    "'",
    '"',
  ].map((name) => Buffer.from(name));
  for (let byte = 1; byte < 256; byte += 1) {
    if (byte !== 0x2f && byte !== 0x2e)
      names.push(Buffer.from([0x44, byte]), Buffer.from([byte, 0x45, 0x45]));
  }
  await mkdir(tree);
  for (const [index, name] of names.entries()) {
    await mkdir(at(name));
    await writeFile(at(name, name), `old ${index}`);
  }
  const before = await snapshotTree(tree);
  await bench.backUp(service([tree]));
  for (const name of names) await writeFile(at(name, name), 'damaged');
  const result = await bench.restore(service([tree]));
  expect(result.filesRestored).toBe(names.length);
  expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
  expect(await bench.leftovers()).toEqual([]);
});
