/** Backups of real folders in a local destination, as the processors write them, but without a server. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import {
  artifactObjectName,
  BLOCK_BYTES,
  comparePaths,
  createMemberStream,
  createTarWalker,
  encodeRootList,
  encodeRun,
  type IndexEntry,
  indexObjectName,
  type Manifest,
  manifestSha256,
  serializeManifest,
  withLine,
} from '@tarfleet/archive';
import type { ArtifactPlan } from '@tarfleet/contracts';
import type { Storage } from '@tarfleet/storage';
import { createKeyring, type Keyring, parseKeyringFile, storeDataKey } from '@tarfleet/vault';
import { createMeter } from '../jobs/meter.ts';
import { uuid } from '../testing.ts';
import type { ArtifactPlace } from './artifact-reader.ts';
import { encryptOrPass } from './encrypt.ts';
import { openParent } from './parent.ts';
import { writeIndex } from './write-index.ts';

const { signal } = new AbortController();

/** A keyring of raw keys that are always the same for the same names. */
export function keyringOf(...names: string[]): Keyring {
  const keys = names.map((name) => ({
    ...{ name, kind: 'raw', key: createHash('sha256').update(name).digest('base64') },
  }));
  return createKeyring(parseKeyringFile(JSON.stringify({ v: 1, primary: null, keys })));
}

export interface TestBackup {
  place: ArtifactPlace;
  manifest: Manifest;
  dataKey: Buffer | null;
  /** As a plan names it for the next one. */
  ref: NonNullable<ArtifactPlan['parent']>;
  archiveKey: string;
  indexKey: string;
}

export interface TakeOptions {
  /** Makes the ids and the day. */
  number: number;
  root: string;
  /** Compared with this one; then only `changed` is read. */
  parent?: TestBackup;
  /** Relative to the root; the root itself is ''. */
  changed?: readonly string[];
  keyName?: string;
}

export function planOf(root: string, number: number, more: Partial<ArtifactPlan> = {}): ArtifactPlan {
  return {
    ...{ v: 1, kind: 'artifact', jobId: uuid(number * 10 + 1), pool: 'local', projectId: 1, requestId: 'r' },
    issuedAt: '2026-01-02T03:04:05.000Z',
    backupId: uuid(number * 10),
    server: { id: uuid(900), projectId: 1, name: 'one', kind: 'local', pool: 'local' },
    service: {
      ...{ id: uuid(901), name: 'web', type: 'files', component: 'files' },
      ...{ configPaths: [], dataPaths: [root], exclude: ['*.tmp'] },
    },
    destination: { id: uuid(902), name: 'local', type: 'local', config: { path: '/nowhere' } },
    keyPrefix: `project-1/2026-01-0${number}/${uuid(number * 10)}`,
    compression: { enabled: true, level: 6 },
    encryption: null,
    parent: null,
    ...more,
  };
}

export async function takeBackup(
  deps: { storage: Storage; keyring: Keyring },
  { number, root, parent, changed, keyName }: TakeOptions,
): Promise<TestBackup> {
  const { storage, keyring } = deps;
  const encryption = keyName === undefined ? null : { keyName };
  const plan = planOf(root, number, { encryption, parent: parent?.ref ?? null });
  const { keyPrefix, backupId, jobId: artifactId, service } = plan;
  const ids = { backupId, artifactId };
  const opened = parent ? await openParent(deps, plan, parent.ref, signal) : null;
  const paths = await pathsIn(root);
  const isChanged = (path: Buffer): boolean =>
    changed === undefined || changed.some((one) => path.equals(Buffer.from(join(root, one))));
  const kept: IndexEntry[] = [];
  if (opened) {
    for await (const batch of opened.entries) {
      for (const { entry } of batch) {
        if (paths.some((path) => path.equals(entry.path)) && !isChanged(entry.path)) kept.push(entry);
      }
    }
  }
  const name = artifactObjectName(artifactId, 1, 'abc', encryption !== null);
  const archiveKey = `${keyPrefix}/${name}`;
  const dataKey = keyName ? await storeDataKey(storage, keyring, { archiveKey, keyName, ids }, signal) : null;
  const read = paths.filter((path) => !kept.some((entry) => entry.path.equals(path)));
  const tar = spawn(
    'tar',
    [
      ...['-C', '/', '-cf', '-', '--format=pax', '--no-recursion', '--null', '--verbatim-files-from'],
      ...['-T', '-'],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  tar.stdin.end(Buffer.concat(read.flatMap((path) => [path.subarray(1), Buffer.from([0])])));
  const own: IndexEntry[] = [];
  const members: number[] = [];
  const gzipped = createMeter(() => undefined);
  const body = encryptOrPass({ dataKey, ids, role: 'archive' }, signal);
  const [stored] = await Promise.all([
    storage.put(archiveKey, body, { signal }),
    pipeline(
      tar.stdout,
      createWalker(own),
      createMemberStream(
        { enabled: true, level: 6, parallel: 2, onMember: (offset) => members.push(offset) },
        signal,
      ),
      gzipped.stream,
      body,
    ),
  ]);
  const indexName = indexObjectName(name);
  const all = [...kept, ...own].sort((a, b) => comparePaths(a.path, b.path));
  const written = await writeIndex(
    storage,
    {
      ...{ ids, members, parent: opened, dataKey, key: `${keyPrefix}/${indexName}` },
      roots: encodeRootList([{ path: Buffer.from(root), type: 'directory' }]),
      unreadable: [],
      own: { ...ids, name, bytes: gzipped.bytes(), blockBytes: BLOCK_BYTES, members: members.length },
      runs: Readable.from([encodeRun(all.map(withLine))]),
    },
    { signal, beforeCommit: async () => undefined },
  );
  const { key: _key, storedBytes, ...facts } = written.index;
  const artifact: Manifest['artifacts'][number] = {
    ...{ artifactId, attempt: 1, roots: service.dataPaths, exclude: service.exclude },
    service: { id: service.id, name: service.name, type: service.type, component: service.component },
    server: { id: plan.server.id, name: plan.server.name },
    object: { name, bytes: stored.bytes, sha256: stored.sha256 },
    index: { name: indexName, bytes: storedBytes, ...facts },
    parent: opened?.ref ?? null,
    ancestors: written.ancestors,
    ...{ tarBytes: 0, contentBytes: 0, files: 0, directories: 0, otherEntries: 0, warnings: 0 },
    ...{ startedAt: plan.issuedAt, endedAt: plan.issuedAt },
  };
  const manifest: Manifest = {
    ...{ format: 'tarfleet-backup', version: 2, backupId, projectId: 1, name: null },
    ...{ type: parent ? 'incremental' : 'full', createdAt: plan.issuedAt, completedAt: plan.issuedAt },
    ...{ verifiedAt: null, software: { name: 'tarfleet', version: '0' } },
    encryption: encryption && { format: 'AES256_GCM_HKDF_1MB', mac: null },
    compression: { enabled: true, level: 6, blockBytes: BLOCK_BYTES },
    ...{ artifacts: [artifact], failed: [] },
  };
  const place = { storage, keyring, keyPrefix, backupId, artifact };
  const ref = { ...ids, keyPrefix, manifestSha256: await putManifest(storage, keyPrefix, manifest) };
  return { place, manifest, dataKey, ref, archiveKey, indexKey: `${keyPrefix}/${indexName}` };
}

/** Stores the manifest over the one that is there; gives its checksum. */
export async function putManifest(storage: Storage, keyPrefix: string, manifest: Manifest): Promise<string> {
  const bytes = serializeManifest(manifest);
  await storage.put(`${keyPrefix}/manifest.json`, Readable.from([bytes]), { signal });
  return manifestSha256(bytes);
}

export async function read(storage: Storage, key: string): Promise<Buffer> {
  return buffer(await storage.get(key, { signal }));
}

export async function write(storage: Storage, key: string, bytes: Buffer): Promise<void> {
  await storage.put(key, Readable.from([bytes]), { signal });
}

/** The bytes with one bit changed. */
export function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 0x10;
  return changed;
}

/**
 * The same storage, which remembers what was read of it and with which streams. `held` is an object whose streams
 * never end, as those of a slow destination that still has some of it.
 */
export function watched(storage: Storage, held?: string) {
  const streams: { key: string; stream: Readable }[] = [];
  const get: Storage['get'] = async (key, options) => {
    const found = await storage.get(key, options);
    const stream = key === held ? found.pipe(new PassThrough(), { end: false }) : found;
    streams.push({ key, stream });
    return stream;
  };
  /** How many streams of the object were opened; all that are still open are a fault. */
  const closed = async (key: string): Promise<number> => {
    await delay(10);
    const open = streams.filter(({ stream }) => !stream.destroyed);
    if (open.length > 0) throw new Error(`still open: ${open.map((one) => one.key).join(', ')}`);
    return streams.filter((one) => one.key === key).length;
  };
  return { storage: { ...storage, get }, streams, closed };
}

function createWalker(entries: IndexEntry[]) {
  return createTarWalker({
    onEntry: () => undefined,
    onEnd({ path, mtime, offset, ...entry }, { bytes, ...hashes }) {
      const name = path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
      entries.push({
        ...entry,
        path: Buffer.concat([Buffer.from('/'), name]),
        mtime: String(mtime),
        ...{ ctime: null, inode: null, again: false, as: null, copy: null, ...hashes },
        at: { archive: 0, offset, bytes },
      });
    },
  });
}

async function pathsIn(root: string): Promise<Buffer[]> {
  const found = await readdir(root, { recursive: true });
  return [root, ...found.map((name) => join(root, name))].map((path) => Buffer.from(path)).sort(comparePaths);
}
