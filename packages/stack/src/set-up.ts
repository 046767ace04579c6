import { randomBytes } from 'node:crypto';
import { createDatabase, type Database, migrateDatabase } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { migrateQueue } from '@tarfleet/queue';
import { createPasswords, createSecretBox, destinationAad, type SecretBox } from '@tarfleet/vault';
import { v7 as uuidv7 } from 'uuid';
import { ensureKeys, type KeyFiles } from './keys.ts';

export interface SetUpOptions {
  databaseUrl: string;
  queueUrl: string;
  keysDir: string;
  adminEmail: string;
  /** Made up when left out. */
  adminPassword?: string;
  /** The default destination, where there is none yet. */
  destination: FirstDestination | null;
  logger: Logger;
}

export type FirstDestination =
  | { type: 'local'; path: string }
  | {
      type: 's3';
      bucket: string;
      region: string;
      endpoint?: string;
      accessKeyId: string;
      secretAccessKey: string;
    };

export interface SetUp {
  files: KeyFiles;
  /** Null when the admin was there before: a password is told once. */
  newPassword: string | null;
  /** As the password: told when the keyring was made. Without keyring and recovery key no encrypted backup can be read. */
  recoveryKey: string | null;
}

/** Makes whatever a first start needs: keys, schemas, the admin, the default project and destination. Changes nothing that is there. */
export async function setUp(options: SetUpOptions): Promise<SetUp> {
  const { files, api, recoveryKey } = await ensureKeys(options.keysDir);
  await migrateDatabase(options.databaseUrl);
  await migrateQueue(options.queueUrl);
  const db = createDatabase({ url: options.databaseUrl, poolSize: 2, logger: options.logger });
  try {
    await db.projects.ensureDefault();
    const newPassword = await ensureAdmin(db, options);
    if (options.destination) await ensureDestination(db, createSecretBox(api.box), options.destination);
    return { files, newPassword, recoveryKey };
  } finally {
    await db.close();
  }
}

async function ensureAdmin(db: Database, options: SetUpOptions): Promise<string | null> {
  const email = options.adminEmail.toLowerCase();
  if (await db.users.findByEmail(email)) return null;
  const password = options.adminPassword ?? randomBytes(12).toString('base64url');
  await db.users.create({ email, passwordHash: await createPasswords().hash(password), role: 'admin' });
  return password;
}

async function ensureDestination(db: Database, box: SecretBox, wanted: FirstDestination): Promise<void> {
  if (await db.destinations.getDefault()) return;
  const id = uuidv7();
  const common = { id, name: wanted.type, retentionDays: null, isDefault: true };
  if (wanted.type === 'local') {
    const config = { path: wanted.path };
    await db.destinations.create({ ...common, type: 'local', config, secretCiphertext: null });
    return;
  }
  const { type, accessKeyId, secretAccessKey, bucket, region, endpoint } = wanted;
  const secretCiphertext = box.seal(destinationAad(id), { accessKeyId, secretAccessKey });
  const config = { bucket, region, ...(endpoint ? { endpoint, forcePathStyle: true } : {}) };
  await db.destinations.create({ ...common, type, config, secretCiphertext });
}
