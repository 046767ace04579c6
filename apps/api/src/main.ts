import { createLogger, EnvError, onShutdown } from '@tarfleet/kernel';
import { readConfig } from './env.ts';
import { startApi } from './start-api.ts';

try {
  // Whoever started us as its own may die at any moment, even while we load: without it nobody would ever stop us.
  const leave = (): boolean => process.kill(process.pid, 'SIGTERM');
  if (process.connected === false) leave();
  process.once('disconnect', leave);
  const config = readConfig(process.env);
  const logger = createLogger({ level: config.LOG_LEVEL, process: 'api' });
  const api = await startApi(config, logger);
  // Whoever started this process and listens knows now that it is ready, and where.
  process.send?.({ url: api.url });
  onShutdown(() => api.stop(), { logger, timeoutMs: 30_000 });
} catch (error) {
  const expected = error instanceof EnvError || (error as Error).name === 'AppError';
  process.stderr.write(`${expected ? (error as Error).message : String((error as Error).stack)}\n`);
  process.exit(1);
}
