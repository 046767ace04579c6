import { createLogger, EnvError, onShutdown, parseEnv } from '@tarfleet/kernel';
import { WorkerEnv } from './env.ts';
import { startWorker } from './worker.ts';

try {
  // Whoever started us as its own may die at any moment, even while we load: without it nobody would ever stop us.
  const leave = (): boolean => process.kill(process.pid, 'SIGTERM');
  if (process.connected === false) leave();
  process.once('disconnect', leave);
  const env = parseEnv(WorkerEnv, process.env);
  const logger = createLogger({ level: env.LOG_LEVEL, process: 'worker' });
  const worker = await startWorker(env, logger);
  // Whoever started this process and listens knows now that it is ready.
  process.send?.({ workerId: worker.id });
  onShutdown(() => worker.stop(), { logger, timeoutMs: env.GRACE_MS + 20_000 });
} catch (error) {
  const expected = error instanceof EnvError || (error as Error).name === 'AppError';
  process.stderr.write(`${expected ? (error as Error).message : String((error as Error).stack)}\n`);
  process.exit(1);
}
