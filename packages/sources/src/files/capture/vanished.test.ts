// What is removed while it is read, by each means of reading.
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Session } from '@tarfleet/transport';
import { localSession, service, until } from '../testing-sessions.ts';
import { type CaptureWorld, createCaptureWorld } from './testing-capture.ts';

let world: CaptureWorld;
let session: Session;
beforeEach(async () => {
  world = await createCaptureWorld();
  session = await localSession();
});
afterEach(async () => {
  await session.close();
  await world.close();
});

/** A service of a large file that is read first, and of others after it; what is removed while the first is read. */
async function readWhile(files: number, remove: (base: string) => Promise<void>) {
  const base = join(world.dir, 'tree');
  await mkdir(base);
  await writeFile(join(base, 'a-big'), randomBytes(48_000_000));
  await world.files(...Array.from({ length: files }, (_, at) => `tree/more/${at}`));
  const captured = await world.start(session, service([base]));
  await until(async () => captured.entries.some((entry) => entry.path.toString().endsWith('/a-big')));
  await remove(base);
  return { captured, read: buffer(captured.tar) };
}

test('a service whose path is removed meanwhile has no backup', async () => {
  const { read } = await readWhile(3, (base) => rm(base, { recursive: true }));
  await expect(read).rejects.toMatchObject({
    code: 'PATH_NOT_FOUND',
    message: expect.stringMatching(/tree of \S+ was removed while it was read/),
  });
});

test('nor has one that loses most of its files', async () => {
  const { read } = await readWhile(40, (base) => rm(join(base, 'more'), { recursive: true }));
  await expect(read).rejects.toMatchObject({
    code: 'BACKUP_INCOMPLETE',
    message: expect.stringMatching(/^41 of 43 files and folders of .* were removed/),
  });
});

test('some files of many are warnings, and each counts', async () => {
  const { captured, read } = await readWhile(900, async (base) => {
    for (let at = 0; at < 304; at += 1) await rm(join(base, 'more', String(at)));
  });
  await world.assertReadable(await read);
  const vanished = captured.warnings.filter(({ code }) => code === 'FILE_VANISHED');
  expect(vanished).toHaveLength(201);
  expect(vanished.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(304);
});
