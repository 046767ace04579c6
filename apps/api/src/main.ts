import { createLogger, EnvError, onShutdown } from '@tarfleet/kernel';
import { readConfig } from './env.ts';
import { startApi } from './start-api.ts';

try {
  const config = readConfig(process.env);
  const logger = createLogger({ level: config.LOG_LEVEL, process: 'api' });
  const api = await startApi(config, logger);
  onShutdown(() => api.stop(), { logger, timeoutMs: 30_000 });
} catch (error) {
  const expected = error instanceof EnvError || (error as Error).name === 'AppError';
  process.stderr.write(`${expected ? (error as Error).message : String((error as Error).stack)}\n`);
  process.exit(1);
}
