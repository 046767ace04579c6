import { createLogger, EnvError, onShutdown, parseEnv } from '@tarfleet/kernel';
import { WorkerEnv } from './env.ts';
import { startWorker } from './worker.ts';

try {
  const env = parseEnv(WorkerEnv, process.env);
  const logger = createLogger({ level: env.LOG_LEVEL, process: 'worker' });
  const worker = await startWorker(env, logger);
  // Whoever started this process and listens knows now that it is ready.
  process.send?.({ workerId: worker.id });
  // It started us as its own: without it nobody would ever stop us.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  onShutdown(() => worker.stop(), { logger, timeoutMs: env.GRACE_MS + 20_000 });
} catch (error) {
  const expected = error instanceof EnvError || (error as Error).name === 'AppError';
  process.stderr.write(`${expected ? (error as Error).message : String((error as Error).stack)}\n`);
  process.exit(1);
}
