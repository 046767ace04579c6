import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { DestinationSecrets, SftpDestinationConfig } from '@tarfleet/contracts';
import { type RunningSshd, startSshd } from '@tarfleet/testbed';
import { createTunedStorage } from '../create-storage.ts';
import { tuned } from '../testing-tuning.ts';
import type { Storage } from '../types.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const MIB = 1024 * 1024;

let sshd: RunningSshd;
let root: string;
let mounted: string | null = null;
const opened: Storage[] = [];
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tarfleet-sftp-'));
});
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
  if (mounted) await run('umount', ['-l', mounted]);
  mounted = null;
  await rm(root, { recursive: true, force: true });
});

function open(
  config: Partial<SftpDestinationConfig> = {},
  secrets: DestinationSecrets = {},
  idleMs = 10_000,
): Storage {
  const { host, port, username, fingerprint: hostKey, privateKey } = sshd;
  const place = { host, port, username, hostKey, path: join(root, 'backups'), ...config };
  const storage = createTunedStorage(
    { name: 'There', type: 'sftp', config: place },
    Object.keys(secrets).length > 0 ? secrets : { privateKey },
    { localAllowed: false },
    tuned({ idleMs }),
  );
  opened.push(storage);
  return storage;
}

const put = (storage: Storage, key: string, content: Buffer): Promise<unknown> =>
  storage.put(key, Readable.from([content], { objectMode: false }), { signal: never });

async function mountSmall(path: string): Promise<void> {
  await mkdir(path);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0755', 'tmpfs', path]);
  mounted = path;
}

test('a read-only disk is DESTINATION_READ_ONLY for what writes, and can be read', async () => {
  const path = join(root, 'frozen');
  await mountSmall(path);
  const storage = open({ path });
  await put(storage, 'a/object', Buffer.from('content'));
  await run('mount', ['-o', 'remount,ro', path]);
  const failure = { code: 'DESTINATION_READ_ONLY', message: expect.stringContaining(path) };
  await expect(put(storage, 'b/object', Buffer.from('x'))).rejects.toMatchObject(failure);
  await expect(storage.create('a/other', Buffer.from('x'), never)).rejects.toMatchObject(failure);
  await expect(storage.delete('a/object', never)).rejects.toMatchObject(failure);
  expect((await buffer(await storage.get('a/object', { signal: never }))).toString()).toBe('content');
});

test('a server with another host key gets nothing', async () => {
  const other = `SHA256:${'A'.repeat(43)}`;
  const shown = {
    code: 'HOST_KEY_CHANGED',
    retryable: false,
    message: expect.stringContaining(sshd.fingerprint),
  };
  await expect(open({ hostKey: other }).check(never)).rejects.toMatchObject(shown);
});

test('wrong credentials are told as such, and nothing of a key that cannot be read', async () => {
  const refused = { code: 'DESTINATION_AUTH_FAILED', retryable: false };
  await expect(open({}, { password: 'wrong' }).check(never)).rejects.toMatchObject(refused);
  await expect(open({ username: 'nobody-of-that-name' }).check(never)).rejects.toMatchObject(refused);
  const error = await open({}, { privateKey: 'canary-of-a-key' })
    .check(never)
    .catch((fault: Error) => fault);
  expect(error).toMatchObject(refused);
  expect(String((error as Error).stack)).not.toContain('canary');
});

test('a server that is not there is unreachable, and may be tried again', async () => {
  const gone = { code: 'DESTINATION_UNREACHABLE', retryable: true };
  await expect(open({ port: 1 }).check(never)).rejects.toMatchObject(gone);
});

test('a folder whose parent is missing is not made, and the rest says that it is missing', async () => {
  const storage = open({ path: join(root, 'disk', 'backups') });
  const missing = { code: 'DESTINATION_NOT_FOUND' };
  await expect(put(storage, 'a/object', Buffer.from('x'))).rejects.toMatchObject(missing);
  await expect(storage.get('a/object', { signal: never })).rejects.toMatchObject(missing);
  await expect(storage.stat('a/object', never)).rejects.toMatchObject(missing);
  await expect(storage.delete('a/object', never)).rejects.toMatchObject(missing);
  await expect(storage.abortUploads('a', never)).rejects.toMatchObject(missing);
  expect(await readdir(root)).toEqual([]);
  await mkdir(join(root, 'disk'));
  await put(storage, 'a/object', Buffer.from('x'));
  await rename(join(root, 'disk'), join(root, 'unplugged'));
  await expect(put(storage, 'a/object', Buffer.from('x'))).rejects.toMatchObject(missing);
});

test('folders and files are for their owner alone', async () => {
  const storage = open();
  await put(storage, 'a/object', Buffer.from('x'));
  await storage.create('a/manifest', Buffer.from('x'), never);
  const mode = async (path: string): Promise<number> =>
    (await stat(join(root, 'backups', path))).mode & 0o777;
  expect(await Promise.all(['', 'a', 'a/object', 'a/manifest'].map(mode))).toEqual([
    0o700, 0o700, 0o600, 0o600,
  ]);
});

test('a file that is cut while it is read is an error, not a short end', async () => {
  const storage = open();
  await put(storage, 'a/object', randomBytes(8 * MIB));
  const stream = await storage.get('a/object', { signal: never });
  const reading = (async () => {
    for await (const _chunk of stream) await truncate(join(root, 'backups/a/object'), MIB);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
});

test('puts and deletes in the same folders do not disturb each other', async () => {
  const storage = open();
  const rounds = Array.from({ length: 40 }, async (_, n) => {
    await put(storage, `busy/${n % 3}/object-${n}`, Buffer.from(`${n}`));
    await storage.delete(`busy/${n % 3}/object-${n}`, never);
  });
  await Promise.all(rounds);
  expect(await readdir(join(root, 'backups'))).toEqual([]);
});
