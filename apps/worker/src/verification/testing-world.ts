/** Backups of real folders in a local destination, made and verified by the real processors. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Manifest, openCodec, parseManifest, serializeManifest } from '@tarfleet/archive';
import type {
  ArtifactPlan,
  ArtifactResult,
  BackupPlan,
  BackupResult,
  ParentArtifact,
  VerifyLevel,
  VerifyPlan,
  VerifyResult,
} from '@tarfleet/contracts';
import type { Storage } from '@tarfleet/storage';
import { createKeyring, type Keyring, parseKeyringFile } from '@tarfleet/vault';
import { read, write } from '../archives/testing-backups.ts';
import { createDeps } from '../deps.ts';
import type { JobContext } from '../job-context.ts';
import { createArtifactProcessor } from '../processors/artifact.ts';
import { createBackupProcessor } from '../processors/backup.ts';
import { createVerifyProcessor } from '../processors/verify.ts';
import { keepingReporter, openTestStorage, silent, uuid } from '../testing.ts';
import type { WorkerDeps } from '../worker-deps.ts';

const { signal: never } = new AbortController();
const AT = '2026-01-01T00:00:00.000Z';

export interface StoredBackup {
  backupId: string;
  keyPrefix: string;
  manifestSha256: string;
  manifest: Manifest;
}

export interface BackUpOptions {
  parent?: StoredBackup;
  encrypt?: boolean;
  compress?: boolean;
  deduplicate?: boolean;
  /** Name to folder; each is a service, and its name its component. */
  services?: Record<string, string>;
  destinationFolders?: NonNullable<ArtifactPlan['destinationFolders']>;
}

export interface VerifyOptions {
  level?: VerifyLevel;
  services?: string[];
  ancestors?: StoredBackup[];
  deps?: Partial<WorkerDeps>;
  keys?: Keyring;
  signal?: AbortSignal;
  job?: number;
  token?: string;
  progress?: JobContext['progress'];
  storage?(real: Storage): Storage;
}

export const keyring = (...names: string[]): Keyring =>
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

export type World = Awaited<ReturnType<typeof openWorld>>;

export async function openWorld() {
  const stored = await openTestStorage();
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-verify-test-'));
  const tmpDir = join(dir, 'tmp');
  const tree = join(dir, 'tree');
  await mkdir(tmpDir);
  const deps: WorkerDeps = {
    ...createDeps({
      ...{ logger: silent, keyring: keyring('main'), codec: await openCodec(), tmpDir },
      ...{ localRoots: ['/'], localServices: false },
      keys: { pool: 'default', keys: [] } as unknown as Parameters<typeof createDeps>[0]['keys'],
    }),
    openStorage: async () => stored.open(),
  };
  let number = 0;
  const context = (kind: JobContext['plan']['kind'], token = 'abcdefabcdef') => {
    const { report } = keepingReporter(kind);
    const delivery = {
      ...{ attempt: 1001, token, assertOwned: async () => undefined, childOutcomes: async () => new Map() },
    };
    return { ...{ signal: never, report, progress: () => undefined, log: silent }, delivery };
  };
  const serviceId = (name: string): string => uuid(800 + name.charCodeAt(0));

  async function backUp({
    parent,
    encrypt = true,
    compress = true,
    deduplicate = false,
    services = { app: tree },
    ...more
  }: BackUpOptions = {}) {
    number += 1;
    const backupId = uuid(number * 100);
    const keyPrefix = `project-1/2026-01-0${number}/${backupId}`;
    const encryption = encrypt ? { keyName: 'main' } : null;
    const base = { v: 1, pool: 'default', projectId: 1, requestId: 'r', issuedAt: AT } as const;
    const common = {
      ...{ keyPrefix, destination: stored.target, encryption },
      compression: { enabled: compress, level: 6 },
    };
    const targets = Object.entries(services).map(([name, path], at) => ({
      jobId: uuid(number * 100 + at + 1),
      service: {
        ...{ id: serviceId(name), name, type: 'files', component: name },
        ...{ configPaths: [], dataPaths: [path], exclude: [] },
      } satisfies ArtifactPlan['service'],
    }));
    const results: ArtifactResult[] = [];
    for (const { jobId, service } of targets) {
      const plan: ArtifactPlan = {
        ...{
          ...base,
          ...common,
          ...more,
          kind: 'artifact',
          jobId,
          backupId,
          service,
          deduplicate,
          parent: parentOf(parent, service.id),
        },
        server: { id: uuid(700), projectId: 1, name: 'here', kind: 'local', pool: 'default' },
      };
      const { result } = await createArtifactProcessor(deps)({ ...context('artifact'), plan });
      results.push(result as ArtifactResult);
    }
    const plan: BackupPlan = {
      ...{ ...base, ...common, kind: 'backup', jobId: backupId, name: null, createdAt: AT, verify: false },
      backupType: parent ? 'incremental' : 'full',
      artifacts: targets.map((one) => ({ ...one, pool: 'default', serverId: uuid(700), serverName: 'here' })),
    };
    const { delivery, ...rest } = context('backup');
    const children = new Map(results.map((result) => [result.artifactId, { ok: true as const, result }]));
    const closed = await createBackupProcessor(deps)({
      ...{ ...rest, plan, delivery: { ...delivery, childOutcomes: async () => children } },
    });
    const { manifestSha256 } = closed.result as BackupResult;
    return reload({ backupId, keyPrefix, manifestSha256 });
  }

  function parentOf(parent: StoredBackup | undefined, id: string): ParentArtifact | null {
    const artifact = parent?.manifest.artifacts.find(({ service }) => service.id === id);
    if (!parent || !artifact) return null;
    const { backupId, keyPrefix, manifestSha256 } = parent;
    return { backupId, keyPrefix, manifestSha256, artifactId: artifact.artifactId };
  }

  async function reload(place: Omit<StoredBackup, 'manifest'>): Promise<StoredBackup> {
    const bytes = await read(stored.storage, `${place.keyPrefix}/manifest.json`);
    return { ...place, manifest: parseManifest(bytes) };
  }

  async function verify(
    { backupId, keyPrefix, manifestSha256 }: StoredBackup,
    {
      level = 'quick',
      services,
      ancestors = [],
      job = 1,
      token,
      storage = (real) => real,
      ...more
    }: VerifyOptions = {},
  ): Promise<VerifyResult> {
    const plan: VerifyPlan = {
      ...{
        v: 1,
        kind: 'verify',
        jobId: uuid(job),
        pool: 'default',
        projectId: 1,
        requestId: 'r',
        issuedAt: AT,
      },
      ...{ backupId, destination: stored.target, keyPrefix, manifestSha256, level },
      serviceIds: services?.map(serviceId) ?? null,
      ancestors: ancestors.map((one) => ({ backupId: one.backupId, manifestSha256: one.manifestSha256 })),
    };
    const processor = createVerifyProcessor({
      ...deps,
      openStorage: async () => storage(stored.open()),
      ...(more.keys ? { keyring: more.keys } : {}),
      ...more.deps,
    });
    const told = more.progress ? { progress: more.progress } : {};
    const { result } = await processor({
      ...{ ...context('verify', token), ...told, plan, signal: more.signal ?? never },
    });
    return result as VerifyResult;
  }

  return {
    ...{ stored, deps, dir, tmpDir, tree, backUp, verify, serviceId },
    object: (backup: StoredBackup, what: 'archive' | 'index', at = 0): string => {
      const artifact = backup.manifest.artifacts[at];
      const name = what === 'archive' ? artifact?.object.name : artifact?.index?.name;
      return `${backup.keyPrefix}/${name}`;
    },
    read: (key: string) => read(stored.storage, key),
    write: (key: string, bytes: Buffer) => write(stored.storage, key, bytes),
    /** Stores a manifest, as if it had always been this one. */
    async rewrite(backup: StoredBackup, change: (manifest: Manifest) => unknown): Promise<StoredBackup> {
      const changed = change(structuredClone(backup.manifest));
      const { version } = changed as Manifest;
      const bytes =
        version === 1 ? Buffer.from(JSON.stringify(changed)) : serializeManifest(changed as Manifest);
      await stored.storage.put(`${backup.keyPrefix}/manifest.json`, Readable.from([bytes]), {
        signal: never,
      });
      return reload({ ...backup, manifestSha256: createHash('sha256').update(bytes).digest('hex') });
    },
    left: () => readdir(tmpDir),
    async close() {
      await stored.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
