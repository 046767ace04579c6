import { EnvError, parseEnv } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { parseAllowed } from './notifier/address-guard.ts';
import { DEFAULT_PAUSES } from './notifier/pauses.ts';
import { parseOrigins } from './plugins/cors.ts';

/** The API's whole environment. `docs/configuration.md` describes each variable. */
export const ApiEnv = Type.Object({
  HOST: Type.String({ default: '127.0.0.1' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 8080 }),
  DATABASE_URL: Type.String({ pattern: '^postgres(ql)?://' }),
  QUEUE_URL: Type.String({ minLength: 1 }),
  /** Text of `api-keys.json`. */
  API_KEYS: Type.String({ minLength: 2 }),
  /** Text of `pools.json`. */
  POOLS: Type.String({ minLength: 2 }),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  /** Scheme and host by which browsers reach the API. With https, session cookies are marked Secure. */
  PUBLIC_URL: Type.Optional(Type.String({ pattern: '^https?://[^/?#\\s]+/?$' })),
  /** Origins of pages, with commas between, that browsers may use the API from; none when empty. */
  CORS_ORIGINS: Type.String({ default: '' }),
  /** How many proxies stand in front and set `X-Forwarded-*`; 0 means that those headers are ignored. */
  TRUSTED_PROXIES: Type.Integer({ minimum: 0, maximum: 10, default: 0 }),
  SESSION_HOURS: Type.Integer({ minimum: 1, maximum: 24 * 90, default: 12 }),
  /** Another issuer whose JWTs are accepted too; all three or none. */
  JWKS_URL: Type.Optional(Type.String({ pattern: '^https?://' })),
  JWT_ISSUER: Type.Optional(Type.String({ minLength: 1 })),
  JWT_AUDIENCE: Type.Optional(Type.String({ minLength: 1 })),
  BODY_LIMIT_BYTES: Type.Integer({ minimum: 1024, maximum: 64 * 1024 * 1024, default: 1024 * 1024 }),
  RATE_LIMIT_RESTORES_PER_HOUR: Type.Integer({ minimum: 1, default: 10 }),
  RATE_LIMIT_STATUS_PER_MINUTE: Type.Integer({ minimum: 1, default: 100 }),
  RATE_LIMIT_VERIFY_PER_HOUR: Type.Integer({ minimum: 1, default: 20 }),
  /** Requests for downloads, each part of one included. */
  RATE_LIMIT_DOWNLOADS_PER_MINUTE: Type.Integer({ minimum: 1, default: 120 }),
  /** Login attempts a minute for one e-mail address from one network address. */
  RATE_LIMIT_LOGINS_PER_MINUTE: Type.Integer({ minimum: 1, default: 10 }),
  /** How long after a backup's end the left-overs of its dead attempts stay, in milliseconds. */
  SWEEP_GRACE_MS: Type.Integer({ minimum: 0, default: 15 * 60 * 1000 }),
  /** Between two looks for jobs that were lost on their way, in milliseconds. */
  RECONCILE_EVERY_MS: Type.Integer({ minimum: 100, default: 5_000 }),
  /** How long a job may be silent before the queue is asked what became of it, in milliseconds. */
  RECONCILE_PATIENCE_MS: Type.Integer({ minimum: 1000, default: 30_000 }),
  /** Between two looks for schedules that are due, in milliseconds. */
  SCHEDULE_EVERY_MS: Type.Integer({ minimum: 100, maximum: 60_000, default: 1_000 }),
  /** Between two looks for backups that nothing keeps any more, in milliseconds; 0: nothing is deleted by itself. */
  RETENTION_EVERY_MS: Type.Integer({ minimum: 0, default: 3600 * 1000 }),
  /** Between two looks through each destination for what belongs to no backup, in milliseconds; 0: only when asked. */
  SURVEY_EVERY_MS: Type.Integer({ minimum: 0, default: 24 * 3600 * 1000 }),
  /** How long the way back of a restore is kept on its server after it has completed, in hours; 0 keeps none. */
  RESTORE_KEEP_HOURS: Type.Number({ minimum: 0, maximum: 24 * 365, default: 24 }),
  /** Whether a backup is made when the first API process of a deployment starts. */
  BACKUP_ON_STARTUP: Type.Boolean({ default: false }),
  /** Whether backups made under /api/admin/backup are encrypted when their request does not say. */
  BACKUP_ENCRYPTION: Type.Boolean({ default: false }),
  /** Of destinations made under /api/admin/backup that name none, in days. */
  BACKUP_RETENTION_DAYS: Type.Integer({ minimum: 1, maximum: 36_500, default: 30 }),
  /** For how long nobody deletes the backup that is made before a restore, in days. */
  EMERGENCY_KEEP_DAYS: Type.Number({ minimum: 0, maximum: 3660, default: 7 }),
  /** Whether servers and destinations of kind `local` may be made (by admins). */
  LOCAL_ALLOWED: Type.Boolean({ default: false }),
  /** Folders, separated by colons, inside which `local` destinations may lie that this host can read downloads from. */
  LOCAL_ROOTS: Type.String({ default: '' }),
  /** Downloads that this process serves at once. */
  DOWNLOADS_AT_ONCE: Type.Integer({ minimum: 1, maximum: 1000, default: 16 }),
  /** How long a client may take nothing of its download before it is ended, in milliseconds. */
  DOWNLOAD_IDLE_MS: Type.Integer({ minimum: 1_000, default: 120_000 }),
  /** How long a link to an object of S3 is good, in seconds. */
  DOWNLOAD_LINK_SECONDS: Type.Integer({ minimum: 10, maximum: 3600, default: 300 }),
  /** How long downloads may run on while this process stops, in milliseconds. */
  DOWNLOAD_GRACE_MS: Type.Integer({ minimum: 0, maximum: 20_000, default: 5_000 }),
  /** Mail server, `smtp://user:password@host:587` or `smtps://`, and the sender of letters; both or neither. */
  SMTP_URL: Type.Optional(Type.String({ pattern: '^smtps?://[^\\s]+$' })),
  SMTP_FROM: Type.Optional(Type.String({ pattern: '^[^\\r\\n]*[^\\s@]+@[^\\s@]+$' })),
  /** Networks, addresses and names of hosts, with commas between, that webhooks may reach besides the public Internet. */
  WEBHOOK_ALLOWED: Type.String({ default: '' }),
  /** Before each further try at a delivery, in seconds, with commas between. */
  NOTIFY_RETRY_SECONDS: Type.String({ pattern: '^\\d{1,7}(,\\d{1,7}){0,49}$', default: DEFAULT_PAUSES }),
  /** Between two looks for deliveries that are due, in milliseconds. */
  NOTIFY_EVERY_MS: Type.Integer({ minimum: 50, default: 1_000 }),
  /** How long one request to a webhook may take, in milliseconds. */
  NOTIFY_TIMEOUT_MS: Type.Integer({ minimum: 100, maximum: 30_000, default: 10_000 }),
  /** After that another process takes a delivery over, in milliseconds: longer than any try takes. */
  NOTIFY_CLAIM_MS: Type.Integer({ minimum: 1_000, default: 60_000 }),
});
export type ApiConfig = Static<typeof ApiEnv>;

/** Throws EnvError naming every fault. */
export function readConfig(env: Record<string, string | undefined>): ApiConfig {
  const config = parseEnv(ApiEnv, env);
  const issuer = [config.JWKS_URL, config.JWT_ISSUER, config.JWT_AUDIENCE];
  if (issuer.some(Boolean) && !issuer.every(Boolean)) {
    throw new EnvError(
      'The environment is not usable:\n  JWKS_URL, JWT_ISSUER and JWT_AUDIENCE go together: without issuer and audience any token of that key set would be accepted. Set all three or none.',
    );
  }
  if ((config.SMTP_URL === undefined) !== (config.SMTP_FROM === undefined)) {
    throw new EnvError(
      'The environment is not usable:\n  SMTP_URL and SMTP_FROM go together: set both or neither.',
    );
  }
  assertReads('WEBHOOK_ALLOWED', () => parseAllowed(config.WEBHOOK_ALLOWED));
  assertReads('CORS_ORIGINS', () => parseOrigins(config.CORS_ORIGINS));
  return config;
}

function assertReads(name: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    throw new EnvError(`The environment is not usable:\n  ${name}: ${(error as Error).message}.`);
  }
}
