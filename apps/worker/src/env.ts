import { availableParallelism, tmpdir } from 'node:os';
import { PoolName } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';

/** A worker's whole environment. `docs/configuration.md` describes each variable. */
export const WorkerEnv = Type.Object({
  QUEUE_URL: Type.String({ minLength: 1 }),
  POOL: Type.Intersect([PoolName], { default: 'default' }),
  POOL_KEYS: Type.String({ minLength: 2 }),
  /** The keys of encrypted backups, as JSON; see `docs/encryption.md`. */
  KEYRING: Type.Optional(Type.String({ minLength: 2 })),
  /** One more key of the keyring, named `passphrase`; the primary one when there is no keyring. */
  BACKUP_ENCRYPTION_PASSPHRASE: Type.Optional(Type.String({ minLength: 12 })),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  /** Folders, separated by colons, inside which `local` servers and destinations may lie. None: local is refused. */
  LOCAL_ROOTS: Type.String({ default: '' }),
  /** Whether services of `local` servers may be stopped, started and checked: their commands run as this process's user. */
  LOCAL_SERVICES: Type.Boolean({ default: false }),
  TMP_DIR: Type.String({ default: tmpdir() }),
  /** Services captured at once in this process. */
  CONCURRENCY: Type.Integer({ minimum: 1, maximum: 64, default: Math.max(2, availableParallelism()) }),
  /** Node's own: threads that compress and work on files. Fewer than the machine has cores leave some idle. */
  UV_THREADPOOL_SIZE: Type.Integer({ minimum: 1, maximum: 1024, default: 4 }),
  /** How long a stopping worker lets its jobs run on before it hands them back, in milliseconds. */
  GRACE_MS: Type.Integer({ minimum: 0, default: 20_000 }),
  /** How long a job may go without a sign of life before another worker takes it, in milliseconds. */
  LOCK_MS: Type.Integer({ minimum: 1000, default: 30_000 }),
  STALLED_CHECK_MS: Type.Integer({ minimum: 500, default: 15_000 }),
  HEARTBEAT_MS: Type.Integer({ minimum: 500, default: 5_000 }),
});
export type WorkerEnv = Static<typeof WorkerEnv>;
