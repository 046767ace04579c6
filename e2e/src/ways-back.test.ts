// What was there before a restore: kept for its time, put back on request, and removed.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
/** 18 seconds. */
const KEEP_HOURS = '0.005';

let here: World;
let server: string;
beforeAll(async () => {
  here = await createWorld('postgres', { apiEnv: { RESTORE_KEEP_HOURS: KEEP_HOURS } });
  server = await here.addServer('source');
}, 120_000);
afterAll(() => here.close(), 60_000);

/** A service that is a file while it runs, and writes down each time what was asked of it. */
async function addRunning(name: string, paths: string[], more: object = {}): Promise<void> {
  const state = join(here.dir, 'data', `${name}.up`);
  const log = join(here.dir, 'data/log');
  const run = (line: string) => ({ command: ['sh', '-c', line] });
  await here.addService(server, name, paths, {
    type: 'command',
    ...{ stop: run(`rm -f ${state}; echo stop ${name} >> ${log}`) },
    ...{ start: run(`: > ${state}; echo start ${name} >> ${log}`), status: run(`test -e ${state}`) },
    ...more,
  });
  await writeFile(state, '');
}
const show = async (id: string) => (await here.client.must('GET', `/api/backups/restore-jobs/${id}`)).data;

test('a restore is rolled back on request, and what it kept goes when its time is over', async () => {
  const tree = join(here.dir, 'data/app');
  const log = join(here.dir, 'data/log');
  const orders = async (): Promise<string[]> => {
    const lines = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');
    await rm(log, { force: true });
    return lines;
  };
  const IN_ORDER = ['stop front', 'stop app', 'start app', 'start front'];
  await mkdir(join(tree, 'deep'), { recursive: true });
  await writeFile(join(tree, 'deep/file'), 'backed up');
  await mkdir(join(here.dir, 'data/front'));
  await addRunning('app', [tree]);
  await addRunning('front', [join(here.dir, 'data/front')], { depends_on: ['app'] });
  const backup = await here.startBackup({ services: ['app'] });
  expect(await here.client.ended(backup)).toMatchObject({ state: 'completed' });
  const backedUp = await snapshotTree(tree);

  const change = async (): Promise<string> => {
    await writeFile(join(tree, 'deep/file'), 'changed');
    await writeFile(join(tree, 'new'), 'new');
    await orders();
    const answer = await here.client.must('POST', `/api/backups/${backup}/restore`, {}, WAIT);
    expect(answer).toMatchObject({ success: true, data: { rolledBack: false, warnings: [] } });
    expect(compareTrees(backedUp, await snapshotTree(tree))).toEqual([]);
    expect(await orders()).toEqual(IN_ORDER);
    return answer.data.restoreJobId;
  };

  const undone = await change();
  const { rollback_path: path, audit_logs: steps } = await show(undone);
  expect(await readdir(dirname(path))).toContain(path.split('/').at(-1));
  expect(steps.every(({ status }: { status: string }) => status === 'completed')).toBe(true);
  const answer = await here.client.must(
    ...(['POST', `/api/backups/restore-jobs/${undone}/rollback`, undefined, WAIT] as const),
  );
  expect(answer).toMatchObject({ data: { status: 'rolled_back', servicesRestored: ['app'] } });
  expect(await orders()).toEqual(IN_ORDER);
  expect(await readFile(join(tree, 'deep/file'), 'utf8')).toBe('changed');
  expect(await readFile(join(tree, 'new'), 'utf8')).toBe('new');
  expect(await show(undone)).toMatchObject({ status: 'rolled_back', rollback_path: null });

  const kept = await change();
  const folder: string = (await show(kept)).rollback_path;
  await until('the way back is gone', async () => (await show(kept)).rollback_path === null);
  expect(await readdir(dirname(folder))).not.toContain(folder.split('/').at(-1));
  expect(compareTrees(backedUp, await snapshotTree(tree))).toEqual([]);
  expect(await show(kept)).toMatchObject({ status: 'completed', rollback_expires_at: null });
  expect(await orders()).toEqual(['']);
}, 180_000);
