import '../testing-realm.ts';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { FtpDestinationConfig } from '@tarfleet/contracts';
import { type RunningFtpServer, startFtpServer } from '@tarfleet/testbed';
import { createTunedStorage } from '../create-storage.ts';
import { tuned } from '../testing-tuning.ts';
import { ftpWorld } from '../testing-worlds.ts';
import type { Storage } from '../types.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const MIB = 1024 * 1024;

let folder: string;
const undo: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tarfleet-ftp-test-'));
  await run('chmod', ['755', folder]);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
  await rm(folder, { recursive: true, force: true });
});

async function serve(
  tls: 'explicit' | 'implicit' | 'none',
  root = join(folder, 'root'),
): Promise<RunningFtpServer> {
  const server = await startFtpServer({ tls, root });
  undo.push(() => server.stop());
  return server;
}

function open(
  server: RunningFtpServer,
  config: Partial<FtpDestinationConfig> = {},
  password = server.password,
): Storage {
  const { host, port, username } = server;
  const place = { host, port, username, path: '/backups', tls: 'none', ...config } as const;
  const storage = createTunedStorage(
    { name: 'There', type: 'ftp', config: place },
    { password },
    { localAllowed: false },
    tuned({ idleMs: 10_000 }),
  );
  undo.push(() => storage.close());
  return storage;
}

const put = (storage: Storage, key: string, content: Buffer): Promise<unknown> =>
  storage.put(key, Readable.from([content], { objectMode: false }), { signal: never });

test('readers that are slow at the end give their connections back, however many come after each other', async () => {
  const storage = open(await serve('none'));
  // As much as a stream holds before anybody reads.
  const content = randomBytes(256 * 1024);
  await put(storage, 'one/object', content);
  for (let time = 0; time < 12; time += 1) {
    const stream = await storage.get('one/object', { signal: never });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await buffer(stream)).equals(content)).toBe(true);
  }
});

test('a certificate is trusted by its signer or by its pin, and no other; then only is a password sent', async () => {
  for (const tls of ['explicit', 'implicit'] as const) {
    const server = await serve(tls, join(folder, tls));
    await open(server, { tls, ca: server.certificate }).check(never);
    await open(server, { tls, certificate: server.fingerprint }).check(never);
    const untrusted = { code: 'DESTINATION_UNREACHABLE', retryable: false };
    await expect(open(server, { tls }).check(never)).rejects.toMatchObject(untrusted);
    const other = { code: 'DESTINATION_AUTH_FAILED', message: expect.stringContaining(server.fingerprint) };
    await expect(open(server, { tls, certificate: 'a'.repeat(64) }).check(never)).rejects.toMatchObject(
      other,
    );
  }
}, 60_000);

test('plain FTP, where it is asked for by name', async () => {
  const storage = open(await serve('none'));
  const content = randomBytes(3 * MIB);
  await put(storage, 'a/object', content);
  expect((await buffer(await storage.get('a/object', { signal: never }))).equals(content)).toBe(true);
});

test('wrong credentials, a server that is not there, a folder that is missing', async () => {
  const server = await serve('none');
  await expect(open(server, {}, 'wrong').check(never)).rejects.toMatchObject({
    code: 'DESTINATION_AUTH_FAILED',
  });
  const gone = { code: 'DESTINATION_UNREACHABLE', retryable: true };
  await expect(open(server, { port: 1 }).check(never)).rejects.toMatchObject(gone);
  const storage = open(server, { path: '/disk/backups' });
  const missing = { code: 'DESTINATION_NOT_FOUND' };
  await expect(put(storage, 'a/object', Buffer.from('x'))).rejects.toMatchObject(missing);
  await expect(storage.get('a/object', { signal: never })).rejects.toMatchObject(missing);
  await expect(storage.delete('a/object', never)).rejects.toMatchObject(missing);
  expect(await readdir(server.root)).toEqual([]);
});

test('a full disk is STORAGE_FULL and leaves nothing; a read-only one is DESTINATION_READ_ONLY', async () => {
  const disk = join(folder, 'small');
  await mkdir(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0755', 'tmpfs', disk]);
  undo.push(() => run('umount', ['-l', disk]));
  const storage = open(await serve('none', disk));
  await put(storage, 'kept/object', randomBytes(MIB));
  const full = { code: 'STORAGE_FULL', retryable: false };
  await expect(put(storage, 'big/object', randomBytes(6 * MIB))).rejects.toMatchObject(full);
  expect(await readdir(join(disk, 'backups'))).toEqual(['kept']);
  await put(storage, 'fits/object', randomBytes(2 * MIB));
  await run('mount', ['-o', 'remount,ro', disk]);
  const closed = { code: 'DESTINATION_READ_ONLY' };
  await expect(put(storage, 'b/object', Buffer.from('x'))).rejects.toMatchObject(closed);
  await expect(put(storage, 'kept/other', Buffer.from('x'))).rejects.toMatchObject(closed);
  await expect(storage.delete('kept/object', never)).rejects.toMatchObject(closed);
  expect(await buffer(await storage.get('kept/object', { signal: never }))).toHaveLength(MIB);
});

test('a file that is cut while it is read is an error, not a short end', async () => {
  const server = await serve('none');
  const storage = open(server);
  await put(storage, 'a/object', randomBytes(32 * MIB));
  const stream = await storage.get('a/object', { signal: never });
  const reading = (async () => {
    for await (const _chunk of stream) await truncate(join(server.root, 'backups/a/object'), MIB);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
});

test('without TLS a connection that ends early and cleanly looks whole to both sides, and is not', async () => {
  const world = await ftpWorld('none');
  undo.push(() => world.close());
  const content = randomBytes(6 * MIB);
  const storage = world.open();
  const cut = world.gate.breakNext({ way: 'up', after: 2 * MIB, how: 'end' });
  await expect(put(storage, 'a/object', content)).rejects.toMatchObject({ retryable: true });
  await cut;
  expect(await world.everything()).toEqual([]);
  await put(storage, 'a/object', content);
  const again = world.gate.breakNext({ way: 'down', after: 2 * MIB, how: 'end' });
  expect((await buffer(await storage.get('a/object', { signal: never }))).equals(content)).toBe(true);
  await again;
});
