import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { CopyPlan, DestinationTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { createStorage, type Storage } from '@tarfleet/storage';
import { type FaultProxy, type RunningS3, signedFetch, startFaultProxy, startS3 } from '@tarfleet/testbed';
import {
  flipped,
  keyringOf,
  putManifest,
  read,
  type TestBackup,
  takeBackup,
  write,
} from '../archives/testing-backups.ts';
import { keepingReporter, openTestStorage, silent, uuid } from '../testing.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { createCopyProcessor } from './copy.ts';

const keyring = keyringOf('old', 'new');
const { signal: never } = new AbortController();
const BUCKET = 'copies';
const SEALED = { v: 1, keyId: 'none', enc: '', ct: '' } as const;

let s3: RunningS3;
let proxy: FaultProxy;
beforeAll(async () => {
  // Room for one copy of the backup, and not for two.
  s3 = await startS3({ quotaBytes: 40 << 20 });
  await s3.createBucket(BUCKET);
  proxy = await startFaultProxy(s3.endpoint);
}, 60_000);
afterAll(async () => {
  await proxy.stop();
  await s3.stop();
});

let from: Awaited<ReturnType<typeof openTestStorage>>;
let to: Awaited<ReturnType<typeof openTestStorage>>;
let root: string;
let backup: TestBackup;
let prefix: string;
beforeEach(async () => {
  [from, to] = [await openTestStorage(), await openTestStorage()];
  root = await mkdtemp(join(tmpdir(), 'tarfleet-copied-'));
  await mkdir(join(root, 'sub'));
  await writeFile(join(root, 'sub/large'), randomBytes(12 << 20));
  backup = await takeBackup({ storage: from.storage, keyring }, { number: 1, root, keyName: 'old' });
  prefix = backup.ref.keyPrefix;
  // What a dead attempt left is nobody's business at a copy.
  await write(from.storage, `${prefix}/${uuid(11)}/7-dead.tar.gz.enc`, Buffer.from('dead'));
});
afterEach(async () => {
  proxy.decide = () => 'pass';
  const far = farStorage();
  for await (const { key } of far.list('', never)) await far.delete(key, never);
  await far.close();
  await Promise.all([from.close(), to.close(), rm(root, { recursive: true })]);
});

const FAR: DestinationTarget = {
  ...{ id: uuid(901), name: 'far', type: 's3', secrets: SEALED },
  config: { bucket: BUCKET, region: 'us-east-1' },
};
function farStorage(): Storage {
  const config = { bucket: BUCKET, region: s3.region, endpoint: proxy.url };
  const { accessKeyId, secretAccessKey } = s3;
  const keys = { accessKeyId, secretAccessKey };
  return createStorage({ name: 'far', type: 's3', config }, keys, { localAllowed: false });
}

interface RunOptions {
  target?: DestinationTarget;
  source?: (real: Storage) => Storage;
  wrap?: (real: Storage) => Storage;
  assertOwned?: () => Promise<void>;
  signal?: AbortSignal;
  holdsBackups?: boolean;
}

async function run({
  target = { ...to.target, id: uuid(902) },
  source = (one) => one,
  wrap = (one) => one,
  assertOwned = async () => undefined,
  signal = never,
  holdsBackups = false,
}: RunOptions = {}) {
  const { report, events } = keepingReporter('copy');
  const plan: CopyPlan = {
    ...{ v: 1, kind: 'copy', jobId: uuid(2), pool: 'default', projectId: 1, requestId: 'r' },
    ...{ issuedAt: '2026-01-02T03:04:05.000Z', backupId: backup.ref.backupId, keyPrefix: prefix },
    ...{ manifestSha256: backup.ref.manifestSha256, source: from.target, destination: target },
    holdsBackups,
  };
  const opened: Storage[] = [];
  const openStorage = async ({ id }: DestinationTarget): Promise<Storage> => {
    const storage =
      id === from.target.id ? source(from.open()) : wrap(id === FAR.id ? farStorage() : to.open());
    opened.push(storage);
    return storage;
  };
  const done: number[] = [];
  try {
    const outcome = await createCopyProcessor({ openStorage } as unknown as WorkerDeps)({
      ...{ plan, signal, report, progress: ({ bytesDone }) => void done.push(bytesDone), log: silent },
      delivery: { attempt: 1001, token: 'abcdefabcdef', assertOwned, childOutcomes: async () => new Map() },
    });
    return { ...outcome.result, progress: done };
  } finally {
    await report.flush();
    expect(events().every(({ type }) => type === 'step')).toBe(true);
  }
}

const code = (error: unknown): string => (error instanceof AppError ? error.code : String(error));
const failing = (options?: RunOptions): Promise<string> =>
  run(options).then(
    () => 'it went well',
    (error: unknown) => code(error),
  );
/** What of the backup is there, and is as it is at its source. */
async function expectWhole(storage: Storage): Promise<void> {
  const keys: string[] = [];
  for await (const { key } of storage.list(prefix, never)) keys.push(key);
  const own = (await from.keys(prefix)).filter((key) => !key.includes('dead'));
  expect(keys.sort()).toEqual(own);
  for (const key of own) expect((await read(storage, key)).equals(await read(from.storage, key))).toBe(true);
}

test('archive, index, wrapped key and manifest arrive, and nothing else; a second time all of it is kept', async () => {
  const first = await run();
  expect(first).toMatchObject({ kind: 'copy', objects: 4, kept: 0 });
  expect(first.progress.at(-1)).toBe(first.progress.toSorted((a, b) => a - b).at(-1));
  await expectWhole(to.storage);
  const written = await stat(join(to.path, backup.archiveKey));
  expect(await run()).toMatchObject({ objects: 4, kept: 3 });
  expect((await stat(join(to.path, backup.archiveKey))).ino).toBe(written.ino);
});

test('to S3: cut in the middle nothing of it is visible; the next try goes on, and a lost answer does no harm', async () => {
  let cuts = 0;
  proxy.decide = ({ method, url }) => {
    if (method !== 'PUT' || !url.includes('partNumber')) return 'pass';
    cuts += 1;
    return cuts > 1 ? { status: 403, code: 'AccessDenied' } : 'pass';
  };
  expect(await failing({ target: FAR })).toBe('DESTINATION_AUTH_FAILED');
  expect(cuts).toBeGreaterThan(1);
  expect((await s3.everything(BUCKET)).filter((key) => !key.includes('.key.'))).toEqual([]);
  let lost = false;
  proxy.decide = ({ method, url }) => {
    if (lost || method !== 'PUT' || !url.includes('manifest.json')) return 'pass';
    lost = true;
    return 'lose-answer';
  };
  expect(await run({ target: FAR })).toMatchObject({ objects: 4 });
  expect(lost).toBe(true);
  const far = farStorage();
  await expectWhole(far);
  await far.close();
});

test('a full destination: STORAGE_FULL, and no manifest', async () => {
  const far = farStorage();
  await write(far, 'other', randomBytes(34 << 20));
  expect(await failing({ target: FAR })).toBe('STORAGE_FULL');
  expect((await s3.everything(BUCKET)).join()).not.toContain('manifest');
  await far.delete('other', never);
  expect(await run({ target: FAR })).toMatchObject({ objects: 4 });
  await far.close();
});

test.each(['archiveKey', 'indexKey'] as const)(
  'the %s that is no longer what was stored is not copied, and the copy has no manifest',
  async (which) => {
    const key = backup[which];
    await write(from.storage, key, flipped(await read(from.storage, key), 100));
    expect(await failing()).toBe('BACKUP_CORRUPTED');
    expect(await to.storage.stat(key, never)).toBeNull();
    expect(await to.storage.stat(`${prefix}/manifest.json`, never)).toBeNull();
    await from.storage.delete(key, never);
    expect(await failing()).toBe('BACKUP_CORRUPTED');
  },
);

test('a source that ends early, and one that breaks: an error, and nothing stored', async () => {
  const short = (real: Storage): Storage => ({
    ...real,
    get: async (key, options) =>
      key === backup.archiveKey ? real.get(key, { ...options, length: 1000 }) : real.get(key, options),
  });
  expect(await failing({ source: short })).toBe('BACKUP_CORRUPTED');
  const breaking = (real: Storage): Storage => ({
    ...real,
    async get(key, options) {
      if (key !== backup.archiveKey) return real.get(key, options);
      const body = new PassThrough();
      body.write(Buffer.alloc(1000));
      setImmediate(() => body.destroy(new AppError('DESTINATION_UNREACHABLE', 'cut', { retryable: true })));
      return body;
    },
  });
  expect(await failing({ source: breaking })).toBe('DESTINATION_UNREACHABLE');
  expect(await to.storage.stat(backup.archiveKey, never)).toBeNull();
});

test('what is there and is another is replaced; what is there and right is left alone', async () => {
  const bytes = await read(from.storage, backup.archiveKey);
  await write(to.storage, backup.archiveKey, flipped(bytes, 4000));
  await write(to.storage, backup.indexKey, await read(from.storage, backup.indexKey));
  expect(await run()).toMatchObject({ kept: 1 });
  await expectWhole(to.storage);
});

test("another backup's manifest there: CONFLICT, and nothing is touched", async () => {
  const other = { ...backup.manifest, name: 'another' };
  await putManifest(to.storage, prefix, other);
  expect(await failing()).toBe('CONFLICT');
  expect(await to.keys(prefix)).toEqual([`${prefix}/manifest.json`]);
});

test('the same manifest there, written in between: the copy is complete', async () => {
  const create: Storage['create'] = async (key, bytes, signal) => {
    await to.storage.create(key, bytes, signal);
    await to.storage.create(key, bytes, signal);
  };
  expect(await run({ wrap: (real) => ({ ...real, create }) })).toMatchObject({ objects: 4 });
  await expectWhole(to.storage);
});

test('wrapped keys are those of the source: an old one there goes, and an archive without any is refused', async () => {
  const stale = `${backup.archiveKey}.key.old.0123456789abcdef.json`;
  await write(to.storage, stale, Buffer.from('{}'));
  await run();
  await expectWhole(to.storage);
  const [key] = (await from.keys(prefix)).filter((one) => one.includes('.key.'));
  await from.storage.delete(key ?? '', never);
  await to.storage.delete(`${prefix}/manifest.json`, never);
  expect(await failing()).toBe('BACKUP_CORRUPTED');
  expect(await to.storage.stat(`${prefix}/manifest.json`, never)).toBeNull();
});

test('a damaged wrapped key of the source takes the place of no good one', async () => {
  await run();
  const [key = ''] = (await from.keys(prefix)).filter((one) => one.includes('.key.'));
  const good = await read(from.storage, key);
  const other = { ...JSON.parse(good.toString()), name: 'new' };
  for (const damaged of ['{"v":1', good.toString().slice(0, -9), JSON.stringify(other)]) {
    await write(from.storage, key, Buffer.from(damaged));
    expect(await failing()).toBe('BACKUP_CORRUPTED');
    expect((await read(to.storage, key)).equals(good)).toBe(true);
  }
});

test('whoever no longer owns the job makes nothing visible', async () => {
  const lost = async (): Promise<void> => {
    throw new AppError('ATTEMPT_SUPERSEDED', 'another one has it');
  };
  let owned = true;
  const after = (real: Storage): Storage => ({
    ...real,
    async put(key, body, options) {
      owned = false;
      return real.put(key, body, options);
    },
  });
  expect(await failing({ wrap: after, assertOwned: () => (owned ? Promise.resolve() : lost()) })).toBe(
    'ATTEMPT_SUPERSEDED',
  );
  expect(await to.keys(prefix)).toEqual([]);
});

test('an abort in the middle leaves no part, and unfinished uploads of a dead worker go', async () => {
  const controller = new AbortController();
  const slow = (real: Storage): Storage => ({
    ...real,
    async get(key, options) {
      if (key !== backup.archiveKey) return real.get(key, options);
      const body = new PassThrough();
      body.write(Buffer.alloc(1000));
      setTimeout(() => controller.abort(new AppError('CANCELLED', 'enough')), 50);
      options.signal.addEventListener('abort', () => body.destroy(options.signal.reason as Error));
      return body;
    },
  });
  expect(await failing({ source: slow, signal: controller.signal })).toBe('CANCELLED');
  expect(
    (await readdir(to.path, { recursive: true, withFileTypes: true })).filter((one) => one.isFile()),
  ).toEqual([]);

  await signedFetch('POST', `${s3.endpoint}/${BUCKET}/${backup.archiveKey}?uploads=`, s3);
  expect((await s3.everything(BUCKET)).join()).toContain('(unfinished)');
  await run({ target: FAR });
  expect((await s3.everything(BUCKET)).join()).not.toContain('(unfinished)');
});

test.each(['local', 's3'])(
  'of %s, a target that is empty although copies lie there gets nothing',
  async (type) => {
    const target = type === 's3' ? { target: FAR } : {};
    await expect(run({ ...target, holdsBackups: true })).rejects.toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
      message: expect.stringMatching(/is empty although backups lie there\. Is its disk mounted\?/),
    });
    const there = type === 's3' ? farStorage() : to.open();
    try {
      for await (const { key } of there.list('', never)) throw new Error(`${key} was written`);
      await write(there, 'project-1/other/manifest.json', Buffer.from('{}'));
      await run({ ...target, holdsBackups: true });
      await expectWhole(there);
    } finally {
      await there.close();
    }
  },
);
