// Restores that fail, and whose way back fails as well: what runs then, and what people are told.
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };

let here: World;
let server: string;
beforeAll(async () => {
  here = await createWorld('postgres');
  server = await here.addServer('source');
}, 120_000);
afterAll(() => here.close(), 60_000);

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
const run = (line: string) => ({ command: ['sh', '-c', line], timeout_seconds: 5 });

/** A service that is a file while it runs. It is ill once it has been started, and what `trap` says comes with that. */
async function prepare(name: string, trap: (at: (what: string) => string) => string) {
  const at = (what: string): string => join(here.dir, 'data', `${name}.${what}`);
  const tree = join(here.dir, 'data', name);
  await mkdir(tree);
  await writeFile(join(tree, 'file'), 'backed up');
  await here.addService(server, name, [tree], {
    type: 'command',
    ...{ stop: run(`test ! -e ${at('stuck')} && rm -f ${at('up')}`) },
    ...{ start: run(`: >${at('up')}; test ! -e ${at('trap')} || { . ${at('trap')}; rm ${at('trap')}; }`) },
    ...{ status: run(`test -e ${at('up')}`) },
    health_check: {
      ...{ type: 'command', command: ['test', '!', '-e', at('ill')] },
      ...{ interval_seconds: 1, retries: 1, timeout_seconds: 5 },
    },
  });
  await writeFile(at('up'), '');
  const backup = await here.startBackup({ services: [name] });
  expect(await here.client.ended(backup)).toMatchObject({ state: 'completed' });
  await writeFile(join(tree, 'file'), 'later');
  await writeFile(at('ill'), '');
  await writeFile(at('trap'), trap(at));
  return { at, tree, backup, content: () => readFile(join(tree, 'file'), 'utf8') };
}

async function failingRestore(backup: string) {
  const { data } = await here.client.must('POST', `/api/backups/${backup}/restore`, {});
  const id: string = data.restoreJobId;
  expect(await here.client.ended(id)).toMatchObject({ state: 'failed' });
  return { id, record: (await here.client.must('GET', `/api/backups/restore-jobs/${id}`)).data };
}
const rollBack = (id: string) =>
  here.client.request('POST', `/api/backups/restore-jobs/${id}/rollback`, undefined, WAIT);

test('a service that does not stop any more keeps the new files, and runs', async () => {
  const { at, backup, content } = await prepare('sticky', (at) => `: >${at('stuck')}`);
  const { id, record } = await failingRestore(backup);
  expect(record).toMatchObject({ status: 'failed', rollback_path: expect.stringContaining('.tarfleet') });
  expect(record.error_message).toMatch(/sticky.*ROLLING BACK FAILED, TOO: .*sticky.*Look at these services/s);
  expect(record.error_message).toContain(record.rollback_path);
  expect(record.audit_logs.find((one: { step_name: string }) => one.step_name === 'rollback')).toMatchObject({
    status: 'failed',
  });
  expect([await content(), await exists(at('up'))]).toEqual(['backed up', true]);

  const again = await rollBack(id);
  expect(again.body).toMatchObject({
    success: false,
    message: expect.stringContaining('ROLLING BACK FAILED'),
  });
  expect([await content(), await exists(at('up'))]).toEqual(['backed up', true]);

  await rm(at('stuck'));
  await rm(at('ill'));
  expect((await rollBack(id)).body).toMatchObject({ success: true, data: { status: 'rolled_back' } });
  expect([await content(), await exists(at('up'))]).toEqual(['later', true]);
}, 300_000);

test('a service whose files cannot go back is not started on them', async () => {
  const mount = (tree: string): string => `mount -t tmpfs -o size=1m tmpfs ${tree}`;
  const { at, tree, backup, content } = await prepare('mounted', () => mount(join(here.dir, 'data/mounted')));
  const { id, record } = await failingRestore(backup);
  try {
    expect(record).toMatchObject({ status: 'failed', rollback_path: expect.stringContaining('.tarfleet') });
    expect(record.error_message).toMatch(/ROLLING BACK FAILED, TOO: .*mount.*mounted: not started/s);
    // The very command, for whoever has put the files right.
    expect(record.error_message).toContain(`To start by hand: mounted: sh -c ': >${at('up')};`);
    expect(await exists(at('up'))).toBe(false);
  } finally {
    await promisify(execFile)('umount', [tree]);
  }
  await rm(at('ill'));
  expect((await rollBack(id)).body).toMatchObject({ success: true, data: { status: 'rolled_back' } });
  expect([await content(), await exists(at('up'))]).toEqual(['later', true]);
}, 300_000);
