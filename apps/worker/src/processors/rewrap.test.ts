import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { artifactObjectName, indexObjectName, serializeManifest } from '@tarfleet/archive';
import type { ArtifactResult, BackupPlan, RewrapPlan } from '@tarfleet/contracts';
import type { ListedObject, Storage } from '@tarfleet/storage';
import { createKeyring, type Keyring, openDataKey, parseKeyringFile, storeDataKey } from '@tarfleet/vault';
import { keepingReporter, openTestStorage, silent, uuid } from '../testing.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { buildManifest } from './backup-manifest.ts';
import { createRewrapProcessor } from './rewrap.ts';

const PREFIX = 'project-1/2026-01-01/backup';
const MANIFEST = `${PREFIX}/manifest.json`;
const ARTIFACTS = [10, 20];
const { signal: never } = new AbortController();
const AT = '2026-01-01T00:00:00.000Z';

const keyring = (...names: string[]): Keyring =>
  createKeyring(
    parseKeyringFile(
      JSON.stringify({
        ...{ v: 1, primary: null },
        keys: names.map((name) => ({
          ...{ name, kind: 'raw', key: createHash('sha256').update(name).digest('base64') },
        })),
      }),
    ),
  );
const BOTH = keyring('old', 'new');

let t: Awaited<ReturnType<typeof openTestStorage>>;
let manifestSha256: string;
let dataKeys: Map<number, Buffer>;
beforeEach(async () => {
  t = await openTestStorage();
  await storeBackup();
});
afterEach(() => t.close());

const archiveKey = (n: number): string =>
  `${PREFIX}/${artifactObjectName(uuid(n), 1001, 'abcdefabcdef', true)}`;
const ids = (n: number) => ({ backupId: uuid(1), artifactId: uuid(n) });

/** Two archives with their indexes, each under a key of its own, wrapped with `old`; and their manifest. */
async function storeBackup(): Promise<void> {
  const { target: destination } = t;
  const base = { ...{ jobId: uuid(1), pool: 'default', projectId: 1, requestId: 'r' }, issuedAt: AT };
  const plan: BackupPlan = {
    ...{ v: 1, kind: 'backup', ...base, backupType: 'full', name: null, createdAt: AT, destination },
    ...{ keyPrefix: PREFIX, verify: false, compression: { enabled: true, level: 6 } },
    encryption: { keyName: 'old' },
    artifacts: ARTIFACTS.map((n) => ({
      ...{ jobId: uuid(n), pool: 'default', serverId: uuid(5), serverName: 'db1' },
      service: {
        ...{ id: uuid(n + 1), name: `service ${n}`, type: 'files', component: 'files' },
        ...{ configPaths: [], dataPaths: [`/srv/${n}`], exclude: [] },
      },
    })),
  };
  dataKeys = new Map();
  const done: ArtifactResult[] = [];
  for (const n of ARTIFACTS) {
    const key = archiveKey(n);
    dataKeys.set(
      n,
      await storeDataKey(t.storage, BOTH, { archiveKey: key, keyName: 'old', ids: ids(n) }, never),
    );
    const archive = await put(key, `archive ${n}`);
    const index = await put(indexObjectName(key), `index ${n}`);
    done.push({
      ...{ kind: 'artifact', artifactId: uuid(n), attempt: 1001, ...archive, tarBytes: 40, contentBytes: 20 },
      ...{ files: 1, directories: 0, otherEntries: 0, warnings: 0, parent: null, ancestors: [] },
      ...{ startedAt: AT, endedAt: AT, index: { ...index, entries: 1, files: 1, contentBytes: 20 } },
    });
  }
  const bytes = serializeManifest(buildManifest(plan, done, [], null));
  manifestSha256 = createHash('sha256').update(bytes).digest('hex');
  await t.storage.put(MANIFEST, Readable.from([bytes]), { signal: never });
}

async function put(key: string, text: string) {
  const { bytes, sha256 } = await t.storage.put(key, Readable.from([Buffer.from(text)]), { signal: never });
  return { key, storedBytes: bytes, sha256 };
}

interface RunOptions {
  keys?: Keyring;
  storage?: (real: Storage) => Storage;
  assertOwned?: () => Promise<void>;
  to?: string;
}

async function run({ keys = BOTH, storage = (real) => real, to = 'new', ...more }: RunOptions = {}) {
  const { assertOwned = async () => undefined } = more;
  const { report, events } = keepingReporter('rewrap');
  const plan: RewrapPlan = {
    ...{ v: 1, kind: 'rewrap', jobId: uuid(2), pool: 'default', projectId: 1, requestId: 'r', issuedAt: AT },
    ...{ backupId: uuid(1), destination: t.target, keyPrefix: PREFIX, manifestSha256, to },
  };
  const processor = createRewrapProcessor({
    ...{ openStorage: async () => storage(t.open()), keyring: keys },
  } as unknown as WorkerDeps);
  try {
    const outcome = await processor({
      ...{ plan, signal: never, report, progress: () => undefined, log: silent },
      delivery: { attempt: 1001, token: 'abcdefabcdef', assertOwned, childOutcomes: async () => new Map() },
    });
    await report.flush();
    return { ...outcome, warnings: events().flatMap((one) => (one.type === 'warning' ? [one.message] : [])) };
  } finally {
    await report.flush();
  }
}

/** Runs `before` and `after` around each call of the store that the job makes. */
function watched(
  real: Storage,
  before: (n: number) => void,
  after: (n: number) => Promise<void> | void,
): Storage {
  let calls = 0;
  const around =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      calls += 1;
      const n = calls;
      before(n);
      const value = await call(...args);
      await after(n);
      return value;
    };
  return {
    ...real,
    create: around(real.create),
    get: around(real.get),
    stat: around(real.stat),
    delete: around(real.delete),
    async *list(prefix, signal) {
      yield* await around(async () => {
        const found: ListedObject[] = [];
        for await (const one of real.list(prefix, signal)) found.push(one);
        return found;
      })();
    },
  };
}

/** Every object but the keys' own, by its bytes. */
async function others(): Promise<Record<string, string>> {
  const keys = (await t.keys(PREFIX)).filter((key) => !key.includes('.key.'));
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, await readFile(join(t.path, key), 'hex')])),
  );
}
const keyObjects = async (): Promise<string[]> =>
  (await t.keys(PREFIX)).flatMap(
    (key) => /\.key\.([a-z0-9-]+)(?:\.[0-9a-f]{16})?\.json$/.exec(key)?.[1] ?? [],
  );

async function expectOpens(keys: Keyring): Promise<void> {
  for (const n of ARTIFACTS) {
    const found = await openDataKey(t.storage, keys, { archiveKey: archiveKey(n), ids: ids(n) }, never);
    expect(found.equals(dataKeys.get(n)!)).toBe(true);
  }
}

test('the new key alone opens each archive, and nothing else was touched', async () => {
  const before = await others();
  const result = { kind: 'rewrap', archives: 2, changed: 2, keyName: 'new' };
  expect(await run()).toEqual({ state: 'completed', result, warnings: [] });
  expect(await keyObjects()).toEqual(['new', 'new']);
  await expectOpens(keyring('new'));
  expect(await others()).toEqual(before);
  // Again, and without the old key: there is nothing to do.
  expect(await run({ keys: keyring('new') })).toMatchObject({ result: { archives: 2, changed: 0 } });
  await expectOpens(keyring('new'));
});

test.each(['before', 'after'] as const)(
  'killed right %s any call of the store: every archive can be opened, and the next attempt finishes',
  async (moment) => {
    const before = await others();
    let killed = true;
    let finished = 0;
    for (let at = 1; killed; at += 1) {
      let dead = false;
      const dies = (n: number): void => {
        dead ||= n === at;
        if (dead) throw new Error('killed');
      };
      const nothing = (): void => undefined;
      const alive = (n: number): void => {
        if (dead) throw new Error(`call ${n} after the end`);
      };
      const [first, last] = moment === 'before' ? [dies, nothing] : [alive, dies];
      killed = await run({ storage: (real) => watched(real, first, last) }).then(
        () => false,
        () => true,
      );
      await expectOpens(BOTH);
      expect(await run()).toMatchObject({ state: 'completed', result: { archives: 2 } });
      finished += 1;
      expect(await keyObjects()).toEqual(['new', 'new']);
      await expectOpens(keyring('new'));
      expect(await others()).toEqual(before);
      // Back to where it began.
      await run({ to: 'old' });
      expect(await keyObjects()).toEqual(['old', 'old']);
    }
    expect(finished).toBeGreaterThan(20);
  },
  120_000,
);

test('whoever opens an archive while its key objects are exchanged finds one', async () => {
  // At each call of the change.
  await run({
    storage: (real) =>
      watched(
        real,
        () => undefined,
        () => expectOpens(BOTH),
      ),
  });
  // The whole change at each call of the reader, after a list that still names the old one too.
  for (let at = 1; at <= 4; at += 1) {
    for (const to of ['old', 'new']) {
      const reader = watched(
        t.storage,
        () => undefined,
        async (n) => {
          if (n === at) await run({ to });
        },
      );
      const place = { archiveKey: archiveKey(10), ids: ids(10) };
      expect((await openDataKey(reader, BOTH, place, never)).equals(dataKeys.get(10)!)).toBe(true);
      await run({ to });
    }
  }
});

test('a list that misses both objects, while one comes for the other, is looked at again', async () => {
  const place = { archiveKey: archiveKey(10), ids: ids(10) };
  let lists = 0;
  const missing: Storage = {
    ...t.storage,
    async *list(prefix, signal) {
      lists += 1;
      if (lists > 1) yield* t.storage.list(prefix, signal);
    },
  };
  expect((await openDataKey(missing, BOTH, place, never)).equals(dataKeys.get(10)!)).toBe(true);
  await expect(openDataKey(t.storage, keyring('new'), place, never)).rejects.toMatchObject({
    ...{ code: 'ENCRYPTION_KEY_NOT_FOUND', details: { keys: ['old'] } },
  });
  await t.storage.delete(`${archiveKey(10)}.key.old.json`, never);
  await expect(openDataKey(t.storage, BOTH, place, never)).rejects.toMatchObject({
    code: 'BACKUP_CORRUPTED',
  });
});

test('a new key that the worker lacks: the destination is not even opened', async () => {
  const storage = (): Storage => {
    throw new Error('opened');
  };
  await expect(run({ keys: keyring('old'), storage })).rejects.toMatchObject({
    ...{ code: 'ENCRYPTION_KEY_NOT_FOUND', message: expect.stringContaining('no key new') },
  });
});

test('an old key that is missing for one of the archives: none is changed', async () => {
  const key = archiveKey(20);
  await t.storage.delete(`${key}.key.old.json`, never);
  await storeDataKey(t.storage, keyring('far'), { archiveKey: key, keyName: 'far', ids: ids(20) }, never);
  await expect(run()).rejects.toMatchObject({ code: 'ENCRYPTION_KEY_NOT_FOUND', details: { keys: ['far'] } });
  expect(await keyObjects()).toEqual(['old', 'far']);
});

test('a key object that the worker cannot open stays, and is named', async () => {
  const object = `${archiveKey(10)}.key.far.json`;
  await writeFile(join(t.path, object), await readFile(join(t.path, `${archiveKey(10)}.key.old.json`)));
  const { warnings, result } = await run();
  expect(result).toMatchObject({ archives: 2, changed: 2 });
  expect(warnings).toEqual([expect.stringContaining('with the key far')]);
  expect(await keyObjects()).toEqual(['far', 'new', 'new']);
});

test('whoever no longer owns the job removes nothing', async () => {
  let asked = 0;
  const superseded = new Error('superseded');
  const assertOwned = async (): Promise<void> => {
    asked += 1;
    if (asked > 1) throw superseded;
  };
  await expect(run({ assertOwned })).rejects.toBe(superseded);
  expect(await keyObjects()).toEqual(['new', 'old', 'old']);
  await expectOpens(BOTH);
});

test('a manifest that was changed, or is gone, stops it before anything is changed', async () => {
  const text = await readFile(join(t.path, MANIFEST), 'utf8');
  await writeFile(join(t.path, MANIFEST), text.replace('service 10', 'service 1O'));
  await expect(run()).rejects.toMatchObject({ code: 'BACKUP_CORRUPTED' });
  await t.storage.delete(MANIFEST, never);
  await expect(run()).rejects.toMatchObject({ code: 'BACKUP_CORRUPTED' });
  expect(await keyObjects()).toEqual(['old', 'old']);
});
