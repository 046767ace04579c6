// The one-shot set-up of a deployment: keys, schemas, admin, default project and destination. Changes nothing that is there.
import { createLogger, EnvError, parseEnv } from '@tarfleet/kernel';
import { SetUpEnv, s3FromEnv } from './env.ts';
import { ensureAdmin, setUp } from './set-up.ts';

try {
  const env = parseEnv(SetUpEnv, process.env);
  const logger = createLogger({ level: 'warn', process: 'setup' });
  const databaseUrl = env.DATABASE_URL;
  const destination = s3FromEnv(env);
  const { recoveryKey } = await setUp({
    databaseUrl,
    queueUrl: env.QUEUE_URL,
    keysDir: env.KEYS_DIR,
    destination,
    logger,
  });
  const newPassword = await ensureAdmin({
    ...{ databaseUrl, logger, email: env.ADMIN_EMAIL },
    ...(env.ADMIN_PASSWORD === undefined ? {} : { password: env.ADMIN_PASSWORD }),
  });
  const made = newPassword !== null && env.ADMIN_PASSWORD === undefined;
  process.stdout.write(`Ready.${made ? ` Password of ${env.ADMIN_EMAIL}: ${newPassword}` : ''}\n`);
  if (newPassword !== null && recoveryKey !== null) {
    process.stdout.write(`Recovery key of the backups, told once; keep it elsewhere: ${recoveryKey}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof EnvError ? error.message : String((error as Error).message)}\n`);
  process.exit(1);
}
