import { EnvError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import type { FirstDestination } from './set-up.ts';

const destination = {
  /** The default destination at the first start; else a folder of the stack's own. */
  DESTINATION_S3_BUCKET: Type.Optional(Type.String({ minLength: 3 })),
  DESTINATION_S3_REGION: Type.String({ default: 'us-east-1' }),
  DESTINATION_S3_ENDPOINT: Type.Optional(Type.String({ pattern: '^https?://' })),
  DESTINATION_S3_ACCESS_KEY_ID: Type.Optional(Type.String({ minLength: 1 })),
  DESTINATION_S3_SECRET_ACCESS_KEY: Type.Optional(Type.String({ minLength: 1 })),
};

const admin = {
  ADMIN_EMAIL: Type.String({ default: 'admin@localhost', pattern: '^[^@\\s]+@[^@\\s]+$' }),
  /** Made up and shown once when left out. */
  ADMIN_PASSWORD: Type.Optional(Type.String({ minLength: 8 })),
};

/** Of `pnpm start`; what it hands on to API and workers is in `pass-on.ts`. */
export const StackEnv = Type.Object({
  TARFLEET_DIR: Type.Optional(Type.String({ pattern: '^/' })),
  HOST: Type.String({ default: '127.0.0.1' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 8080 }),
  DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  QUEUE_URL: Type.Optional(Type.String({ minLength: 1 })),
  WORKERS: Type.Integer({ minimum: 1, maximum: 64, default: 1 }),
  LOCAL_ROOTS: Type.String({ default: '' }),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  ...admin,
  ...destination,
});

/** Of the one-shot set-up of a deployment. */
export const SetUpEnv = Type.Object({
  DATABASE_URL: Type.String({ pattern: '^postgres(ql)?://' }),
  QUEUE_URL: Type.String({ minLength: 1 }),
  KEYS_DIR: Type.String({ pattern: '^/' }),
  ...admin,
  ...destination,
});

/** The S3 destination that the environment describes, or null when it names no bucket. */
export function s3FromEnv(env: Static<typeof SetUpEnv> | Static<typeof StackEnv>): FirstDestination | null {
  const { DESTINATION_S3_BUCKET: bucket, DESTINATION_S3_ENDPOINT: endpoint } = env;
  const { DESTINATION_S3_ACCESS_KEY_ID: accessKeyId, DESTINATION_S3_SECRET_ACCESS_KEY: secretAccessKey } =
    env;
  if (bucket === undefined) return null;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new EnvError(
      'The environment is not usable:\n  DESTINATION_S3_BUCKET needs DESTINATION_S3_ACCESS_KEY_ID and DESTINATION_S3_SECRET_ACCESS_KEY.',
    );
  }
  const region = env.DESTINATION_S3_REGION;
  return { type: 's3', bucket, region, accessKeyId, secretAccessKey, ...(endpoint ? { endpoint } : {}) };
}
