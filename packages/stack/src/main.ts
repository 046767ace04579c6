// `pnpm start`: the whole system on this machine, until it is told to stop. `docs/configuration.md` has the variables.
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createLogger, EnvError, onShutdown, parseEnv } from '@tarfleet/kernel';
import { StackEnv, s3FromEnv } from './env.ts';
import { FOR_API, FOR_WORKERS, passOn } from './pass-on.ts';
import { firstClosed } from './postgres-binaries.ts';
import { startStack } from './stack.ts';

const stopping = new AbortController();
try {
  const env = parseEnv(StackEnv, process.env);
  const logger = createLogger({ level: 'warn', process: 'stack' });
  const dir = env.TARFLEET_DIR ?? (await defaultDir());
  const destination = s3FromEnv(env);
  process.stdout.write(`Starting Tarfleet; its data is in ${dir}\n`);
  const starting = startStack({
    dir,
    logger,
    port: env.PORT,
    host: env.HOST,
    adminEmail: env.ADMIN_EMAIL,
    ...(env.ADMIN_PASSWORD === undefined ? {} : { adminPassword: env.ADMIN_PASSWORD }),
    ...(env.DATABASE_URL === undefined ? {} : { databaseUrl: env.DATABASE_URL }),
    ...(env.QUEUE_URL === undefined ? {} : { queueUrl: env.QUEUE_URL }),
    ...(destination ? { destination } : {}),
    localRoots: env.LOCAL_ROOTS.split(':').filter(Boolean),
    apiEnv: passOn(process.env, FOR_API),
    workerEnv: passOn(process.env, FOR_WORKERS),
    workers: env.WORKERS,
    logLevel: env.LOG_LEVEL,
    onLine: (_name, line) => process.stdout.write(`${line}\n`),
    signal: stopping.signal,
  });
  onShutdown(
    async () => {
      stopping.abort();
      const stack = await starting.catch((error: unknown) => {
        // A start that was told to end has cleaned up behind itself.
        if (error !== stopping.signal.reason) throw error;
      });
      await stack?.stop();
      process.stdout.write('Stopped.\n');
    },
    { logger, timeoutMs: 120_000 },
  );
  // A terminal that is closed must not leave Postgres behind.
  process.on('SIGHUP', () => {
    if (!stopping.signal.aborted) process.kill(process.pid, 'SIGTERM');
  });
  const stack = await starting;
  const password = stack.newPassword ?? '(as set at the first start)';
  process.stdout.write(
    `\n  Tarfleet is ready.\n  URL       ${stack.url}\n  Docs      ${stack.url}/docs\n  E-mail    ${stack.adminEmail}\n  Password  ${password}\n  Stop      Ctrl-C, or kill ${process.pid}\n\n`,
  );
  if (stack.recoveryKey !== null) {
    process.stdout.write(
      `  Recovery key  ${stack.recoveryKey}\n  Backups are encrypted. Write this key down and keep it elsewhere: it is shown once,\n  and without it and ${dir}/keys/keyring.json nobody can read them.\n\n`,
    );
  }
  void stack.failed.then((name) => {
    if (stopping.signal.aborted) return;
    process.stderr.write(`${name} ended by itself: stopping.\n`);
    process.exitCode = 1;
    void stack.stop().finally(() => process.exit(1));
  });
} catch (error) {
  // Told to stop: the shutdown ends the process when all is stopped.
  if (!stopping.signal.aborted) {
    process.stderr.write(`${error instanceof EnvError ? error.message : String((error as Error).message)}\n`);
    process.exit(1);
  }
}

/** Beside the code, or where Postgres' own user can reach when the code lies below a closed folder. */
async function defaultDir(): Promise<string> {
  const beside = join(import.meta.dirname, '../../../.tarfleet');
  if (process.getuid?.() !== 0 || (await firstClosed(dirname(beside))) === null) return beside;
  await mkdir('/var/lib/tarfleet', { recursive: true });
  return '/var/lib/tarfleet';
}
