import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ServiceTarget } from '@tarfleet/contracts';
import type { SourceWarning } from '@tarfleet/sources';
import { createTransport, type Session } from '@tarfleet/transport';
import { silent } from '../testing.ts';
import { resolveFolders, withoutDestinations } from './destination-folders.ts';

const transport = createTransport({ logger: silent, localRoots: ['/'], localAllowed: true });
const { signal } = new AbortController();
let session: Session;
let dir: string;
beforeAll(async () => {
  session = await transport.connect({
    target: { id: randomUUID(), projectId: 1, name: 'box', pool: 'default', kind: 'local' },
    openSecrets: async () => ({ auth: { type: 'none' } }),
    signal,
  });
});
afterAll(() => session.close());
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'tarfleet-folders-')));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function narrow(dataPaths: string[], path: string) {
  const warnings: SourceWarning[] = [];
  const service = {
    name: 'site',
    configPaths: [],
    dataPaths,
    exclude: ['*.log'],
  } as unknown as ServiceTarget;
  const { service: left, leftOut } = await withoutDestinations(service, {
    ...{ session, signal, folders: [{ name: 'daily', path }] },
    warn: (warning) => void warnings.push(warning),
  });
  return {
    ...{ exclude: left.exclude, leftOut: leftOut.map(String) },
    warned: warnings.map(({ code }) => code),
  };
}

test('a destination inside a path is excluded, by whatever name either goes', async () => {
  await mkdir(join(dir, 'real/self/da[i]ly'), { recursive: true });
  await symlink('real', join(dir, 'link'));
  await symlink(join(dir, 'real/self/da[i]ly'), join(dir, 'mnt'));
  const left = {
    exclude: ['*.log', join(dir, 'real/self/da\\[i\\]ly')],
    leftOut: [join(dir, 'real/self/da[i]ly')],
    warned: ['DESTINATION_LEFT_OUT'],
  };
  expect(await narrow([join(dir, 'real/self')], join(dir, 'real/self/da[i]ly'))).toEqual(left);
  expect(await narrow([join(dir, 'real/self')], join(dir, 'mnt'))).toEqual(left);
  expect(await narrow([join(dir, 'link/self')], join(dir, 'mnt'))).toEqual({
    ...left,
    exclude: [...left.exclude, join(dir, 'link/self/da\\[i\\]ly')],
    leftOut: [...left.leftOut, join(dir, 'link/self/da[i]ly')],
  });
  // One that is not there yet may come while the service is read.
  expect((await narrow([join(dir, 'link/self')], join(dir, 'real/self/to/come'))).warned).toHaveLength(1);
  expect(await narrow([join(dir, 'real/self')], join(dir, 'real/selfish'))).toEqual({
    ...{ exclude: ['*.log'], leftOut: [], warned: [] },
  });
});

test('a path that leads into a destination is refused', async () => {
  await mkdir(join(dir, 'daily/project-1'), { recursive: true });
  await symlink('daily', join(dir, 'link'));
  for (const path of ['daily', 'link', 'link/project-1']) {
    await expect(narrow([join(dir, path)], join(dir, 'daily'))).rejects.toMatchObject({
      ...{ code: 'PATH_REFUSED', message: expect.stringContaining('the destination daily') },
    });
  }
});

test('names with line breaks at their end stay whole', async () => {
  const path = join(dir, 'odd\n');
  await mkdir(path);
  expect(await resolveFolders(session, [{ name: 'a', path }], signal)).toEqual([
    { name: 'a', path: Buffer.from(path) },
  ]);
});
