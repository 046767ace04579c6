// The scripts in e2e/scenarios, as an operator runs them: plain curl against the running system.
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { requireTools } from '@tarfleet/testbed';
import { createWorld, type World } from './world.ts';

const SCRIPTS = join(import.meta.dirname, '../scenarios');
const NAMES = ['mysql', 'shop'] as const;
type Name = (typeof NAMES)[number];

let here: World;
let env: Record<string, string>;
const at = (name: Name, what: string): string => join(here.dir, 'data', `${name}.${what}`);
const tree = (name: Name): string => join(here.dir, 'data', name);
const content = (name: Name): Promise<string> => readFile(join(tree(name), 'file'), 'utf8');
/** The orders that a service was given since the last look. */
const orders = async (name: Name): Promise<string[]> => {
  const text = await readFile(at(name, 'log'), 'utf8').catch(() => '');
  await rm(at(name, 'log'), { force: true });
  return text.split('\n').filter(Boolean);
};
const run = (line: string) => ({ command: ['sh', '-c', line] });

beforeAll(async () => {
  await requireTools(['curl']);
  here = await createWorld('postgres');
  const server = await here.addServer('box');
  for (const name of NAMES) {
    await mkdir(tree(name));
    await writeFile(join(tree(name), 'file'), 'backed up');
    await here.addService(server, name, [tree(name)], {
      type: 'command',
      stop: run(`rm ${at(name, 'up')}; echo stop >>${at(name, 'log')}`),
      start: run(`touch ${at(name, 'up')}; echo start >>${at(name, 'log')}`),
      status: run(`test -e ${at(name, 'up')}`),
      health_check: { type: 'command', command: ['sh', '-c', `echo check >>${at(name, 'log')}`] },
    });
    await writeFile(at(name, 'up'), '');
  }
  const id = await here.startBackup();
  expect(await here.client.ended(id)).toMatchObject({ state: 'completed' });
  const { data } = await here.client.must('POST', '/api/auth/tokens', { name: 'scripts' });
  env = { PATH: process.env.PATH ?? '', API: here.stack.url, TOKEN: data.token, BACKUP_ID: id };
}, 180_000);
afterAll(() => here?.close(), 60_000);

async function script(name: string): Promise<string> {
  for (const service of NAMES) {
    await writeFile(join(tree(service), 'file'), 'later');
    await orders(service);
  }
  const { stdout } = await promisify(execFile)(join(SCRIPTS, name), { env });
  for (const service of NAMES) await access(at(service, 'up'));
  return stdout;
}

test('a full restore with verification', async () => {
  const printed = await script('full-restore.sh');
  expect(printed).toContain('"canRestore":true');
  expect(printed).toContain('"isValid":true');
  expect(printed).toContain('"status":"completed"');
  for (const name of NAMES) {
    expect(await content(name)).toBe('backed up');
    expect(await orders(name)).toEqual(['stop', 'start', 'check']);
  }
}, 120_000);

test('one service alone', async () => {
  expect(JSON.parse(await script('one-service.sh'))).toMatchObject({
    success: true,
    data: { status: 'completed', servicesRestored: ['mysql'] },
  });
  expect([await content('mysql'), await content('shop')]).toEqual(['backed up', 'later']);
  expect([await orders('mysql'), await orders('shop')]).toEqual([['stop', 'start', 'check'], []]);
}, 120_000);

test('a quick restore', async () => {
  const { data } = JSON.parse(await script('quick-restore.sh'));
  expect(data.servicesRestored.toSorted()).toEqual(['mysql', 'shop']);
  for (const name of NAMES) {
    expect(await content(name)).toBe('backed up');
    expect(await orders(name)).toEqual(['stop', 'start']);
  }
  const { data: job } = await here.client.must('GET', `/api/backups/restore-jobs/${data.restoreJobId}`);
  expect(job.audit_logs.map((one: { step_name: string }) => one.step_name)).not.toContain('health_checks');
}, 120_000);
