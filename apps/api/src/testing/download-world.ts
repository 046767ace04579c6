import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ArtifactResult } from '@tarfleet/contracts';
import { createStorage, type Storage } from '@tarfleet/storage';
import { type RunningS3, startS3 } from '@tarfleet/testbed';
import { type BackupWorld, openBackupWorld } from './backup-world.ts';
import { artifactResult, backupResult } from './run-fixture.ts';
import type { TestAppOptions } from './test-app.ts';

export interface StoredArchive {
  key: string;
  content: Buffer;
}

/** A backup whose objects are there. */
export interface StoredBackup {
  id: string;
  archives: StoredArchive[];
  /** Everything that lies in the destination, by key, as it is to be found in its tar. */
  objects: Map<string, Buffer>;
}

export interface DownloadWorld extends BackupWorld {
  storage: Storage;
  /** The folder of a local destination. */
  folder: string;
  /** Made by document 4's route; its archives have these sizes, one for each service. */
  stored(sizes: number[], options?: { encrypted?: boolean }): Promise<StoredBackup>;
}

const never = new AbortController().signal;
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** The API with a destination that it reads, in a folder or on a server that speaks S3, and real objects there. */
export async function openDownloadWorld(
  kind: 'local' | 's3',
  { env, ...options }: TestAppOptions = {},
): Promise<DownloadWorld> {
  const root = await mkdtemp(join(tmpdir(), 'tarfleet-download-'));
  const limits = { RATE_LIMIT_DOWNLOADS_PER_MINUTE: '100000' };
  const world = await openBackupWorld({ ...options, env: { LOCAL_ROOTS: root, ...limits, ...env } });
  const s3 = kind === 's3' ? await startS3() : null;
  await s3?.createBucket('downloads');
  const config = s3 ? s3Config(s3) : { path: join(root, 'b') };
  const { statusCode, body } = await world.t.ask('POST', '/api/destinations', {
    ...{ token: world.token, body: { name: 'there', type: kind, config } },
  });
  if (statusCode !== 201) throw new Error(body);
  const destinationId: string = JSON.parse(body).data.id;
  const storage = s3
    ? createStorage(
        {
          name: 'there',
          type: 's3',
          config: { bucket: 'downloads', region: s3.region, endpoint: s3.endpoint },
        },
        { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
        { localAllowed: false },
      )
    : createStorage({ name: 'there', type: 'local', config: { path: join(root, 'b') } }, null, {
        ...{ localAllowed: true, localRoots: [root] },
      });

  let services = 1;
  const put = (key: string, content: Buffer) =>
    storage.put(key, Readable.from([content], { objectMode: false }), { signal: never });

  return {
    ...world,
    storage,
    folder: join(root, 'b'),
    async stored(sizes, { encrypted = false } = {}) {
      for (; services < sizes.length; services += 1) await addService(world, services);
      const there = await world.t.db.services.ofProject(world.projectId);
      const names = there.slice(0, sizes.length).map(({ service }) => service.component);
      const answer = await world.t.ask('POST', '/api/backup/create', {
        token: world.token,
        body: { type: 'partial', components: names, encrypt: false, destination_id: destinationId },
      });
      if (answer.statusCode !== 202) throw new Error(answer.body);
      const { id } = answer.json().backup;
      const { keyPrefix } = (await world.t.db.backups.get(id))!;
      const objects = new Map<string, Buffer>();
      const archives: StoredArchive[] = [];
      const artifacts: ArtifactResult[] = [];
      for (const [at, child] of (await world.t.db.jobs.children(id)).entries()) {
        const base = artifactResult(child.id, keyPrefix);
        const key = encrypted ? `${base.key}.enc` : base.key;
        const content = randomBytes(sizes[at] ?? 0);
        const index = { key: key.replace('.tar.gz', '.index.gz'), content: randomBytes(100 + at) };
        objects.set(key, content).set(index.key, index.content);
        if (encrypted) objects.set(`${key}.key.primary.json`, Buffer.from('{"wrapped":true}'));
        archives.push({ key, content });
        artifacts.push({
          ...{ ...base, key, sha256: sha256(content), storedBytes: content.length },
          index: {
            ...{ key: index.key, sha256: sha256(index.content), storedBytes: index.content.length },
            ...{ entries: 1, files: 1, contentBytes: 1 },
          },
        });
      }
      const manifest = Buffer.from(JSON.stringify({ backupId: id, artifacts }));
      objects.set(`${keyPrefix}/manifest.json`, manifest);
      for (const [key, content] of objects) await put(key, content);
      // What a dead attempt has left is no part of the backup.
      await put(`${keyPrefix}/${artifacts[0]?.artifactId}/1000-fedcbafedcba.tar.gz`, randomBytes(64));
      const result = backupResult(keyPrefix, { artifacts, manifestSha256: sha256(manifest) });
      await world.end({ id, kind: 'backup' }, { result });
      return { id, archives, objects };
    },
    async close() {
      await storage.close();
      await world.close();
      await s3?.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

function s3Config({ region, endpoint, accessKeyId, secretAccessKey }: RunningS3) {
  const keys = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  return { bucket: 'downloads', region, endpoint, ...keys };
}

async function addService({ t, serverId }: BackupWorld, number: number): Promise<void> {
  await t.db.services.create({
    ...{ serverId, name: `app-${number}`, type: 'files', component: `part-${number}`, configPaths: [] },
    ...{ dataPaths: [`/srv/app-${number}`], exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
  });
}
