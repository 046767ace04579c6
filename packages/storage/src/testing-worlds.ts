/** Destinations of each kind whose network, credentials and disk a test can break. */
import './testing-realm.ts';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DestinationSecrets, FtpDestinationConfig } from '@tarfleet/contracts';
import {
  type FtpServerOptions,
  type RunningFtpServer,
  type RunningS3,
  startAzurite,
  startFtpServer,
  startS3,
  startSshd,
  startTcpGate,
  type TcpGate,
  testS3,
} from '@tarfleet/testbed';
import { openContainer } from './azure/azure-container.ts';
import { createTunedStorage, type StorageTarget } from './create-storage.ts';
import { createS3Calls } from './s3/s3-calls.ts';
import { createS3Clients, DEFAULT_TIMEOUTS } from './s3/s3-clients.ts';
import { mountSmallDisk, type SmallDisk } from './testing-small-disk.ts';
import { tuned } from './testing-tuning.ts';
import type { Storage } from './types.ts';

export interface World {
  /** Through the gate, with little patience. */
  open(tuning?: { idleMs?: number; tries?: number }): Storage;
  /** With credentials that the server refuses. */
  openWrong(): Storage;
  gate: TcpGate;
  /** Everything that lies there, unfinished uploads included, seen without driver and gate. */
  everything(): Promise<string[]>;
  /** Leaves room for so many bytes; not there where the server's space is not the tests' own. */
  fill?(left: number): Promise<void>;
  free(): Promise<void>;
  close(): Promise<void>;
}

const never = new AbortController().signal;
const MIB = 1024 * 1024;

function worldOf(
  target: StorageTarget,
  secrets: DestinationSecrets,
  wrong: DestinationSecrets,
  gate: TcpGate,
  rest: Pick<World, 'everything' | 'fill' | 'free'>,
  close: () => Promise<unknown>,
): World {
  const opened: Storage[] = [];
  const open = (own: DestinationSecrets, tuning: Parameters<World['open']>[0] = {}): Storage => {
    const storage = createTunedStorage(target, own, { localAllowed: false }, tuned(tuning));
    opened.push(storage);
    return storage;
  };
  return {
    ...{ gate, ...rest },
    open: (tuning) => open(secrets, tuning),
    openWrong: () => open(wrong),
    async close() {
      for (const storage of opened) await storage.close();
      await gate.stop();
      await close();
    },
  };
}

async function filesBelow(root: string): Promise<string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

const onDisk = (disk: SmallDisk, folder: string): Pick<World, 'everything' | 'fill' | 'free'> => ({
  everything: () => filesBelow(folder),
  fill: (left) => disk.fill(left),
  free: () => disk.free(),
});

async function sftpWorld(): Promise<World> {
  const [disk, sshd, gate] = await Promise.all([mountSmallDisk(96), startSshd(), startTcpGate()]);
  await gate.open(sshd.port);
  const path = join(disk.path, 'backups');
  const { port, username, fingerprint: hostKey, privateKey } = sshd;
  const config = { host: gate.host, port, username, path, hostKey };
  const other = { password: 'wrong' };
  return worldOf(
    { name: 'Ssh', type: 'sftp', config },
    ...([{ privateKey }, other, gate, onDisk(disk, path)] as const),
    async () => {
      await sshd.stop();
      await disk.unmount();
    },
  );
}

/** Data connections go through the gate too: they come to ports that are passed on. */
async function behindGate(gate: TcpGate, options: FtpServerOptions): Promise<RunningFtpServer> {
  for (let tries = 1; ; tries += 1) {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    const ports = Array.from({ length: 40 }, (_, n) => first + n);
    const taken = await Promise.allSettled(ports.map((port) => gate.open(port)));
    if (tries < 20 && taken.some(({ status }) => status === 'rejected')) continue;
    const server = await startFtpServer({ ...options, config: [`PassivePorts ${first} ${first + 39}`] });
    await gate.open(server.port);
    return server;
  }
}

export async function ftpWorld(tls: FtpDestinationConfig['tls']): Promise<World> {
  const [disk, gate] = await Promise.all([mountSmallDisk(96), startTcpGate()]);
  const server = await behindGate(gate, { tls, root: disk.path });
  const { port, username, password, certificate } = server;
  const ca = tls === 'none' ? {} : { ca: certificate };
  const config = { host: gate.host, port, username, path: '/backups', tls, ...ca };
  return worldOf(
    { name: 'Ftp', type: 'ftp', config },
    ...([{ password }, { password: 'wrong' }, gate, onDisk(disk, join(disk.path, 'backups'))] as const),
    async () => {
      await server.stop();
      await disk.unmount();
    },
  );
}

async function azureWorld(): Promise<World> {
  // Azurite keeps what was deleted or replaced for ten minutes.
  const [disk, gate] = await Promise.all([mountSmallDisk(512), startTcpGate()]);
  const server = await startAzurite(disk.path);
  const { account, accountKey, endpoint } = server;
  const direct = { account, container: 'worlds', endpoint, prefix: 'some/where' };
  const container = openContainer(direct, { accountKey });
  await container.create();
  await gate.open(Number(new URL(endpoint).port));
  const config = { ...direct, endpoint: endpoint.replace('127.0.0.1', gate.host) };
  const everything = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of container.listBlobsFlat({ includeUncommitedBlobs: true }))
      found.push(name.slice(direct.prefix.length + 1));
    return found;
  };
  const wrong = { accountKey: randomBytes(64).toString('base64') };
  return worldOf(
    { name: 'Cloud', type: 'azure', config },
    ...([{ accountKey }, wrong, gate, { ...onDisk(disk, ''), everything }] as const),
    async () => {
      await server.stop();
      await disk.unmount();
    },
  );
}

const QUOTA = 96 * MIB;

async function s3World(): Promise<World> {
  const own = !process.env.S3_ENDPOINT;
  const [server, gate]: [RunningS3, TcpGate] = await Promise.all([
    own ? startS3({ quotaBytes: QUOTA }) : testS3(),
    startTcpGate(),
  ]);
  const bucket = `worlds-${randomBytes(6).toString('hex')}`;
  await server.createBucket(bucket);
  const { accessKeyId, secretAccessKey, endpoint, region } = server;
  await gate.open(Number(new URL(endpoint).port));
  const config = { bucket, region, endpoint: endpoint.replace(/127\.0\.0\.1|localhost/, gate.host) };
  const keys = { accessKeyId, secretAccessKey };
  const clients = createS3Clients({ ...config, endpoint }, keys, DEFAULT_TIMEOUTS);
  const calls = createS3Calls(clients, bucket);
  const Key = 'filler';
  const used = async (): Promise<number> => {
    const { Contents = [] } = await calls.listObjects({}, never);
    return Contents.reduce((sum, { Size = 0 }) => sum + Size, 0);
  };
  const fill = async (left: number): Promise<void> => {
    await calls.putObject({ Key, Body: Buffer.alloc(QUOTA - (await used()) - left) }, never);
  };
  return worldOf(
    { name: 'There', type: 's3', config },
    ...([keys, { accessKeyId, secretAccessKey: 'wrong' }, gate] as const),
    {
      everything: () => server.everything(bucket),
      ...(own ? { fill } : {}),
      free: async () => void (await calls.deleteObject({ Key }, never)),
    },
    async () => {
      clients.close();
      await server.stop();
    },
  );
}

export const worlds: [string, () => Promise<World>][] = [
  ['s3', s3World],
  ['sftp', sftpWorld],
  ['ftp', () => ftpWorld('explicit')],
  ['azure', azureWorld],
];
