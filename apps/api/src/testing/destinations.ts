import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStorage, type Storage } from '@tarfleet/storage';
import { startS3 } from '@tarfleet/testbed';

const id = '01890000-0000-7000-8000-000000000000';

/** A destination of a test's own, which goes when it is closed. */
export interface TestDestination {
  storage: Storage;
  close(): Promise<void>;
}

export async function localStorage(): Promise<TestDestination> {
  const root = await mkdtemp(join(tmpdir(), 'tarfleet-retention-'));
  const target = { id, name: 'Here', type: 'local', config: { path: join(root, 'b') } } as const;
  const storage = createStorage(target, null, { localAllowed: true, localRoots: [root] });
  return {
    storage,
    async close() {
      await storage.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export async function s3Storage(): Promise<TestDestination> {
  const { createBucket, stop, endpoint, region, accessKeyId, secretAccessKey } = await startS3();
  await createBucket('retention');
  const config = { bucket: 'retention', region, endpoint };
  const secrets = { v: 1, keyId: 'none', enc: '', ct: '' } as const;
  const target = { id, name: 'There', type: 's3', config, secrets } as const;
  const storage = createStorage(target, { accessKeyId, secretAccessKey }, { localAllowed: false });
  return {
    storage,
    async close() {
      await storage.close();
      await stop();
    },
  };
}
