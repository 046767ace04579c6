import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createStorage } from '../create-storage.ts';
import type { Storage } from '../types.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const id = '01890000-0000-7000-8000-000000000000';

let root: string;
const mounts: string[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tarfleet-local-'));
});
afterEach(async () => {
  for (const mount of mounts.splice(0)) await run('umount', [mount]);
  await rm(root, { recursive: true, force: true });
});

function open(path: string, options: { localRoots?: string[]; localAllowed?: boolean } = {}): Storage {
  const target = { id, name: 'Here', type: 'local' as const, config: { path } };
  return createStorage(target, null, { localAllowed: true, localRoots: [root], ...options });
}

const put = (storage: Storage, key: string, content: Buffer): Promise<unknown> =>
  storage.put(key, Readable.from([content], { objectMode: false }), { signal: never });

/** A file system of its own, so that it can be full or read-only. */
async function mountSmall(path: string): Promise<void> {
  await mkdir(path);
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0755', 'tmpfs', path]);
  } catch (cause) {
    throw new Error(
      'This test mounts a small file system, to see what a full and a read-only disk do. Run it as root, with the right to mount.',
      { cause },
    );
  }
  mounts.push(path);
}

test('a full disk is STORAGE_FULL, leaves nothing, and the destination works again with space', async () => {
  const path = join(root, 'small');
  await mountSmall(path);
  const storage = open(path);
  await put(storage, 'kept/object', randomBytes(1 << 20));
  const failure = { code: 'STORAGE_FULL', retryable: false, message: expect.stringContaining(path) };
  await expect(put(storage, 'big/object', randomBytes(6 << 20))).rejects.toMatchObject(failure);
  await expect(storage.create('big/created', randomBytes(6 << 20), never)).rejects.toMatchObject(failure);
  expect(await readdir(path)).toEqual(['kept']);
  await put(storage, 'fits/object', randomBytes(2 << 20));
  expect(await storage.stat('fits/object', never)).toMatchObject({ key: 'fits/object', bytes: 2 << 20 });
});

test('a read-only disk is DESTINATION_READ_ONLY for what writes, and can be read', async () => {
  const path = join(root, 'frozen');
  await mountSmall(path);
  const storage = open(path);
  await put(storage, 'a/object', Buffer.from('content'));
  await run('mount', ['-o', 'remount,ro', path]);
  const failure = { code: 'DESTINATION_READ_ONLY', message: expect.stringContaining(path) };
  await expect(put(storage, 'b/object', Buffer.from('x'))).rejects.toMatchObject(failure);
  await expect(storage.create('a/other', Buffer.from('x'), never)).rejects.toMatchObject(failure);
  await expect(storage.delete('a/object', never)).rejects.toMatchObject(failure);
  await expect(storage.check(never)).rejects.toMatchObject(failure);
  expect((await buffer(await storage.get('a/object', { signal: never }))).toString()).toBe('content');
});

test('folders and files are for their owner alone', async () => {
  const storage = open(join(root, 'made'));
  await put(storage, 'a/b/object', Buffer.from('x'));
  await storage.create('a/b/manifest', Buffer.from('x'), never);
  const mode = async (path: string): Promise<number> => (await stat(join(root, 'made', path))).mode & 0o777;
  expect(await Promise.all(['', 'a', 'a/b'].map(mode))).toEqual([0o700, 0o700, 0o700]);
  expect(await Promise.all(['a/b/object', 'a/b/manifest'].map(mode))).toEqual([0o600, 0o600]);
});

test('local destinations are refused where the host allows none, or none there', async () => {
  const refused = { code: 'LOCAL_NOT_ALLOWED' };
  expect(() => open(root, { localAllowed: false })).toThrow(expect.objectContaining(refused));
  await expect(open(root, { localRoots: [] }).check(never)).rejects.toMatchObject(refused);
  await expect(open('/var', {}).check(never)).rejects.toMatchObject(refused);
  await expect(open(`${root}-beside`, {}).check(never)).rejects.toMatchObject(refused);
  await expect(open(`${root}/../../etc`, {}).check(never)).rejects.toMatchObject(refused);
  await expect(open('/nowhere/at/all', {}).check(never)).rejects.toMatchObject(refused);
});

test('a symbolic link out of the allowed folders is refused, one inside them is followed', async () => {
  const outside = await mkdtemp(join(tmpdir(), 'tarfleet-outside-'));
  try {
    await symlink(outside, join(root, 'out'));
    await mkdir(join(root, 'real'));
    await symlink(join(root, 'real'), join(root, 'in'));
    await expect(open(join(root, 'out')).check(never)).rejects.toMatchObject({ code: 'LOCAL_NOT_ALLOWED' });
    await expect(open(join(root, 'out', 'new')).check(never)).rejects.toMatchObject({
      code: 'LOCAL_NOT_ALLOWED',
    });
    await symlink(join(outside, 'not-there'), join(root, 'broken'));
    await expect(open(join(root, 'broken')).check(never)).rejects.toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
    });
    await writeFile(join(root, 'file'), 'x');
    await expect(open(join(root, 'file')).check(never)).rejects.toMatchObject({
      ...{ code: 'DESTINATION_NOT_FOUND', message: expect.stringMatching(/file is not a folder\.$/) },
    });
    await open(join(root, 'in')).check(never);
    expect(await readdir(outside)).toEqual([]);
  } finally {
    await rm(outside, { recursive: true });
  }
});

test('a symbolic link inside the destination leads nowhere', async () => {
  const storage = open(join(root, 'store'));
  await mkdir(join(root, 'elsewhere'));
  await writeFile(join(root, 'elsewhere', 'object'), 'not ours');
  await put(storage, 'a/object', Buffer.from('x'));
  await symlink(join(root, 'elsewhere'), join(root, 'store', 'link'));
  await symlink(join(root, 'elsewhere', 'object'), join(root, 'store', 'file-link'));
  const refused = { code: 'PATH_REFUSED' };
  await expect(put(storage, 'link/new', Buffer.from('x'))).rejects.toMatchObject(refused);
  await expect(storage.get('link/object', { signal: never })).rejects.toMatchObject(refused);
  await expect(storage.delete('link/object', never)).rejects.toMatchObject(refused);
  await expect(storage.get('file-link', { signal: never })).rejects.toMatchObject({
    code: 'OBJECT_NOT_FOUND',
  });
  expect(await storage.stat('file-link', never)).toBeNull();
  const keys: string[] = [];
  for await (const object of storage.list('', never)) keys.push(object.key);
  expect(keys).toEqual(['a/object']);
  expect(await readdir(join(root, 'elsewhere'))).toEqual(['object']);
});

test('a folder whose parent is missing is not made: its disk may not be mounted', async () => {
  const storage = open(join(root, 'disk', 'backups'));
  const missing = { code: 'DESTINATION_NOT_FOUND' };
  await expect(put(storage, 'a/object', Buffer.from('x'))).rejects.toMatchObject(missing);
  expect(await readdir(root)).toEqual([]);
  await mkdir(join(root, 'disk'));
  await put(storage, 'a/object', Buffer.from('x'));
  await rename(join(root, 'disk'), join(root, 'unplugged'));
  await expect(put(storage, 'a/object', Buffer.from('x'))).rejects.toMatchObject(missing);
  expect(await readdir(root)).toEqual(['unplugged']);
});

test('only what adds objects makes the folder; the rest says that it is missing', async () => {
  const storage = open(join(root, 'new'));
  const missing = { code: 'DESTINATION_NOT_FOUND' };
  await expect(storage.get('a', { signal: never })).rejects.toMatchObject(missing);
  await expect(storage.stat('a', never)).rejects.toMatchObject(missing);
  await expect(storage.delete('a', never)).rejects.toMatchObject(missing);
  await expect(storage.abortUploads('a', never)).rejects.toMatchObject(missing);
  const listing = (async () => {
    for await (const _object of storage.list('', never)) throw new Error('nothing can be there');
  })();
  await expect(listing).rejects.toMatchObject(missing);
  expect(await readdir(root)).toEqual([]);
});

test('a destination that is a file is not found', async () => {
  await writeFile(join(root, 'file'), 'x');
  await expect(open(join(root, 'file')).check(never)).rejects.toMatchObject({
    code: 'DESTINATION_NOT_FOUND',
  });
  await expect(open(join(root, 'file', 'below')).check(never)).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
  });
});

test('a key below another object fails and leaves that object', async () => {
  const storage = open(root);
  await put(storage, 'a/object', Buffer.from('first'));
  await expect(put(storage, 'a/object/below', Buffer.from('x'))).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
  });
  await expect(put(storage, 'a', Buffer.from('x'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  expect((await buffer(await storage.get('a/object', { signal: never }))).toString()).toBe('first');
  expect(await readdir(root, { recursive: true })).toEqual(['a', 'a/object']);
});

test('a file that is cut while it is read is an error, not a short end', async () => {
  const storage = open(root);
  await put(storage, 'a/object', randomBytes(4 << 20));
  const stream = await storage.get('a/object', { signal: never });
  const reading = (async () => {
    for await (const _chunk of stream) await truncate(join(root, 'a/object'), 1 << 20);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
});

test('puts and deletes in the same folders do not disturb each other', async () => {
  const storage = open(root);
  const rounds = Array.from({ length: 60 }, async (_, n) => {
    await put(storage, `busy/${n % 3}/object-${n}`, Buffer.from(`${n}`));
    await storage.delete(`busy/${n % 3}/object-${n}`, never);
  });
  await Promise.all(rounds);
  expect(await readdir(root)).toEqual([]);
});

test('what others keep in the folder is listed as theirs, and not touched', async () => {
  const storage = open(root);
  await mkdir(join(root, 'lost+found'));
  await writeFile(join(root, 'a file.txt'), 'x');
  await writeFile(Buffer.concat([Buffer.from(join(root, 'no-text-')), Buffer.from([0xff, 0xfe])]), 'x');
  await put(storage, 'a/object', Buffer.from('x'));
  const keys: [string, boolean][] = [];
  for await (const { key, foreign } of storage.list('', never)) keys.push([key, foreign]);
  expect(keys.sort()).toEqual([
    ['a%20file.txt', true],
    ['a/object', false],
    ['no-text-%FF%FE', true],
  ]);
  expect(await storage.abortUploads('', never)).toBe(0);
  expect(await readdir(root)).toHaveLength(4);
});
