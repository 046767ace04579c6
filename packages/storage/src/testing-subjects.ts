/** What the tests of all destinations share: a destination of each kind, and bodies that break. */
import './testing-realm.ts';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { startAzurite, startFtpServer, startSshd, testS3 } from '@tarfleet/testbed';
import { openContainer } from './azure/azure-container.ts';
import { createStorage } from './create-storage.ts';
import { createS3Calls } from './s3/s3-calls.ts';
import { createS3Clients, DEFAULT_TIMEOUTS } from './s3/s3-clients.ts';
import type { ListedObject, Storage } from './types.ts';

interface Subject {
  storage: Storage;
  /** Everything that lies in the destination, unfinished uploads included, seen without the driver. */
  everything(): Promise<string[]>;
  /** Puts an object there without the driver, under any name. */
  putForeign(name: string, content: string): Promise<void>;
  /** Whether a name with a line break cannot be listed as it is. */
  listsByLine?: boolean;
  /** What a page of a listing holds at most, where it is not 1000; FTP has none, and takes its time for each object. */
  pageOf?: number;
  close(): Promise<void>;
}

export const MIB = 1024 * 1024;
const id = '01890000-0000-7000-8000-000000000000';
export const never = new AbortController().signal;

async function localSubject(): Promise<Subject> {
  const root = await mkdtemp(join(tmpdir(), 'tarfleet-storage-'));
  const storage = createStorage(
    { id, name: 'Here', type: 'local', config: { path: join(root, 'backups') } },
    null,
    { localAllowed: true, localRoots: [root] },
  );
  return {
    storage,
    async everything() {
      const found = await readdir(join(root, 'backups'), { recursive: true, withFileTypes: true });
      return found.map((entry) => join(entry.parentPath, entry.name).slice(`${root}/backups/`.length));
    },
    putForeign: (name, content) => writeBelow(join(root, 'backups'), name, content),
    async close() {
      await storage.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** On the tests' own server, or on the one that S3_ENDPOINT names. */
async function s3Subject(prefix?: string): Promise<Subject> {
  const server = await testS3();
  const bucket = `conformance-${randomBytes(6).toString('hex')}`;
  await server.createBucket(bucket);
  const { accessKeyId, endpoint, region, secretAccessKey } = server;
  const config = { bucket, region, endpoint, ...(prefix === undefined ? {} : { prefix }) };
  const storage = createStorage(
    { id, name: 'There', type: 's3', config, secrets: { v: 1, keyId: 'none', enc: '', ct: '' } },
    { accessKeyId, secretAccessKey },
    { localAllowed: false },
  );
  const clients = createS3Clients(config, { accessKeyId, secretAccessKey }, DEFAULT_TIMEOUTS);
  const calls = createS3Calls(clients, bucket);
  return {
    storage,
    async everything() {
      const found = await server.everything(bucket);
      if (prefix === undefined) return found;
      expect(found.filter((key) => !key.startsWith(`${prefix}/`))).toEqual([]);
      return found.map((key) => key.slice(prefix.length + 1));
    },
    async putForeign(name, content) {
      const Key = prefix === undefined ? name : `${prefix}/${name}`;
      await calls.putObject({ Key, Body: content }, never);
    },
    async close() {
      clients.close();
      await storage.close();
      await server.stop();
    },
  };
}

/** What lies below a folder: files alone, since an empty folder is no object. */
async function filesOf(root: string): Promise<string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

async function writeBelow(root: string, name: string, content: string): Promise<void> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

const sealed = { v: 1, keyId: 'none', enc: '', ct: '' } as const;

async function sftpSubject(): Promise<Subject> {
  const sshd = await startSshd();
  const root = await mkdtemp(join(tmpdir(), 'tarfleet-sftp-'));
  const { host, port, username, fingerprint: hostKey } = sshd;
  const path = join(root, 'backups');
  const config = { host, port, username, path, hostKey };
  const target = { id, name: 'Ssh', type: 'sftp', config, secrets: sealed } as const;
  const storage = createStorage(target, { privateKey: sshd.privateKey }, { localAllowed: false });
  return {
    storage,
    everything: () => filesOf(path),
    putForeign: (name, content) => writeBelow(path, name, content),
    async close() {
      await storage.close();
      await sshd.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** With explicit TLS; the other ways are in ftp-driver.test.ts. */
async function ftpSubject(): Promise<Subject> {
  const server = await startFtpServer({ tls: 'explicit' });
  const { host, port, username, password, certificate: ca } = server;
  const config = { host, port, username, path: '/backups', tls: 'explicit', ca } as const;
  const target = { id, name: 'Ftp', type: 'ftp', config, secrets: sealed } as const;
  const storage = createStorage(target, { password }, { localAllowed: false });
  const path = join(server.root, 'backups');
  return {
    storage,
    everything: () => filesOf(path),
    putForeign: (name, content) => writeBelow(path, name, content),
    listsByLine: true,
    pageOf: 100,
    async close() {
      await storage.close();
      await server.stop();
    },
  };
}

async function azureSubject(): Promise<Subject> {
  const server = await startAzurite();
  const { endpoint, account, accountKey } = server;
  const config = { account, container: 'conformance', endpoint, prefix: 'some/where' };
  const container = openContainer(config, { accountKey });
  await container.create();
  const target = { id, name: 'Cloud', type: 'azure', config, secrets: sealed } as const;
  const storage = createStorage(target, { accountKey }, { localAllowed: false });
  return {
    storage,
    async everything() {
      const found: string[] = [];
      for await (const { name } of container.listBlobsFlat({ includeUncommitedBlobs: true }))
        found.push(name);
      expect(found.filter((name) => !name.startsWith(`${config.prefix}/`))).toEqual([]);
      return found.map((name) => name.slice(config.prefix.length + 1));
    },
    // Azure escapes such names in its listings; azurite's XML cannot be read.
    listsByLine: true,
    async putForeign(name, content) {
      await container.getBlockBlobClient(`${config.prefix}/${name}`).upload(content, content.length);
    },
    async close() {
      await storage.close();
      await server.stop();
    },
  };
}

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** In pieces that fit no block or part, as the streams of archives come. */
export async function* pieces(content: Buffer, size = 99_991): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

/** Gives some bytes, then fails. */
export function failing(bytes: number, error: Error): Readable {
  return Readable.from(
    (async function* () {
      yield* pieces(randomBytes(bytes));
      throw error;
    })(),
    { objectMode: false },
  );
}

/** Gives some bytes, tells, then waits for ever. */
export function stalling(bytes: number, onStall: () => void): Readable {
  const content = randomBytes(bytes);
  let at = 0;
  return new Readable({
    read() {
      if (at >= content.length) return onStall();
      this.push(content.subarray(at, at + 99_991));
      at += 99_991;
    },
  });
}

export const subjects: [string, () => Promise<Subject>][] = [
  ['local', localSubject],
  ['s3', () => s3Subject()],
  ['s3 below a prefix', () => s3Subject('some/where')],
  ['sftp', sftpSubject],
  ['ftp', ftpSubject],
  ['azure', azureSubject],
];

/** A destination for the tests of one `describe`, and the calls that they make most. */
export function useSubject(create: () => Promise<Subject>) {
  let subject: Subject;
  beforeAll(async () => {
    subject = await create();
  });
  afterAll(() => subject.close());
  return {
    get storage(): Storage {
      return subject.storage;
    },
    everything: () => subject.everything(),
    get pageOf(): number {
      return subject.pageOf ?? 1000;
    },
    get listsByLine(): boolean {
      return subject.listsByLine ?? false;
    },
    putForeign: (name: string, content: string) => subject.putForeign(name, content),
    read: async (key: string, start?: number, length?: number): Promise<Buffer> => {
      const range = {
        ...(start === undefined ? {} : { start }),
        ...(length === undefined ? {} : { length }),
      };
      return buffer(await subject.storage.get(key, { signal: never, ...range }));
    },
    put: (key: string, content: Buffer): Promise<unknown> =>
      subject.storage.put(key, Readable.from(pieces(content), { objectMode: false }), { signal: never }),
    listed: async (prefix: string): Promise<string[]> => {
      const keys: string[] = [];
      for await (const object of subject.storage.list(prefix, never)) keys.push(object.key);
      return keys.sort();
    },
    foreign: async (prefix: string): Promise<ListedObject[]> => {
      const found: ListedObject[] = [];
      for await (const object of subject.storage.list(prefix, never)) if (object.foreign) found.push(object);
      return found.sort((a, b) => (a.key < b.key ? -1 : 1));
    },
    /** Nothing in the destination bears this name, whole or in part. */
    expectNothingOf: async (name: string): Promise<void> => {
      expect((await subject.everything()).filter((found) => found.includes(name))).toEqual([]);
    },
  };
}
