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
  /** Of the keyring's key for new backups; null when it is not one that can be written down. */
  recoveryKey: string | null;
}

/** Makes whatever a first start needs but the admin: keys, schemas, the default project and destination. Changes nothing that is there. */
export async function setUp(options: SetUpOptions): Promise<SetUp> {
  const { files, api, recoveryKey } = await ensureKeys(options.keysDir);
  await migrateDatabase(options.databaseUrl);
  await migrateQueue(options.queueUrl);
  const db = createDatabase({ url: options.databaseUrl, poolSize: 2, logger: options.logger });
  try {
    await db.projects.ensureDefault();
    if (options.destination) await ensureDestination(db, createSecretBox(api.box), options.destination);
    return { files, recoveryKey };
  } finally {
    await db.close();
  }
}

export interface AdminOptions {
  databaseUrl: string;
  email: string;
  /** Made up when left out. */
  password?: string;
  logger: Logger;
}

/**
 * Makes the admin, where there is no such user; gives the password, or null when the user was there before. To be
 * done last of a start: whatever fails after it would keep the password from ever being told.
 */
export async function ensureAdmin(options: AdminOptions): Promise<string | null> {
  const db = createDatabase({ url: options.databaseUrl, poolSize: 1, logger: options.logger });
  try {
    const email = options.email.toLowerCase();
    if (await db.users.findByEmail(email)) return null;
    const password = options.password ?? randomBytes(12).toString('base64url');
    await db.users.create({ email, passwordHash: await createPasswords().hash(password), role: 'admin' });
    return password;
  } finally {
    await db.close();
  }
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
