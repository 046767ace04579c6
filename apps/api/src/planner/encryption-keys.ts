import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, FullBackup, WorkerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

/** As long as a pool's workers are listed at all. */
const KNOWN_MS = 24 * 3_600_000;
/** Heartbeats of the default rhythm that a living worker may miss. */
const ALIVE_MS = 30_000;
/** A fleet that is just starting has a moment to say what it has. */
const WAIT_MS = 5_000;

/**
 * The key for a pool's new backups, by what its workers say: the primary key of the one that was started last,
 * so long as every living worker has it, for any of them may take the job. ENCRYPTION_KEY_NOT_FOUND when there is none.
 */
export async function primaryKeyOf(db: Pick<Database, 'workers'>, pool: string): Promise<string> {
  const asked = (await askedOf(db, pool)).sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime());
  const primaries = asked.flatMap(({ primaryKey }) => (primaryKey === null ? [] : [primaryKey]));
  const name = primaries.find((key) => asked.every(({ keys }) => keys.includes(key)));
  if (name !== undefined) return name;
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    primaries.length > 0
      ? `Not every worker of the pool ${pool} has the key ${primaries[0]}. Give all of them the same keyring (KEYRING_FILE).`
      : `No worker of the pool ${pool} has a keyring. Set KEYRING_FILE or BACKUP_ENCRYPTION_PASSPHRASE for its workers, or send encrypt: false.`,
  );
}

/** ENCRYPTION_KEY_NOT_FOUND unless every worker of the pool that lives has the key: any of them may be asked to use it. */
export async function assertKeyShared(
  db: Pick<Database, 'workers'>,
  pool: string,
  name: string,
): Promise<void> {
  const asked = await askedOf(db, pool);
  if (asked.length > 0 && asked.every(({ keys }) => keys.includes(name))) return;
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    `Not every worker of the pool ${pool} has the key ${name}. Add it to their keyring (KEYRING_FILE) and restart them.`,
    { details: { keys: [name] } },
  );
}

/**
 * ENCRYPTION_KEY_NOT_FOUND when the pool's workers have none of the keys that the backup may be wrapped with. With
 * one of several, as after a change of keys that did not get to its end, the worker finds out which it needs.
 */
export async function assertKeysKnown(
  db: Pick<Database, 'workers'>,
  pool: string,
  backup: Pick<FullBackup, 'encrypted' | 'encryptionKeys'>,
): Promise<void> {
  if (!backup.encrypted) return;
  const known = new Set((await askedOf(db, pool)).flatMap(({ keys }) => keys));
  const names = backup.encryptionKeys;
  if (names.length === 0 || names.some((name) => known.has(name))) return;
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    `The backup is encrypted with the key ${names.join(' or ')}, which no worker of the pool ${pool} has. Add it to their keyring (KEYRING_FILE).`,
    { details: { keys: names } },
  );
}

/** The pool's living workers; while none lives, those of the last day. */
async function askedOf(db: Pick<Database, 'workers'>, pool: string): Promise<WorkerRecord[]> {
  const workers = await workersOf(db, pool);
  const living = workers.filter(isAlive);
  return living.length > 0 ? living : workers;
}

async function workersOf(db: Pick<Database, 'workers'>, pool: string): Promise<WorkerRecord[]> {
  const giveUpAt = Date.now() + WAIT_MS;
  for (;;) {
    const workers = await db.workers.list({ since: new Date(Date.now() - KNOWN_MS), pool });
    if (workers.length > 0 || Date.now() > giveUpAt) return workers;
    await sleep(250);
  }
}

function isAlive({ stopping, lastSeenAt }: WorkerRecord): boolean {
  return !stopping && lastSeenAt.getTime() > Date.now() - ALIVE_MS;
}
