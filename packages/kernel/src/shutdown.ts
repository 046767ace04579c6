import type { Logger } from './logger.ts';

export interface ShutdownOptions {
  logger: Logger;
  /** Longest the whole stop may take, in milliseconds; then the process exits with 1. */
  timeoutMs: number;
}

/**
 * Runs `stop` once, at the first SIGINT or SIGTERM, then exits with 0; a second signal, a fault in `stop`,
 * or the time limit exits with 1. `stop` also runs for a fault that nobody caught, with exit code 1.
 */
export function onShutdown(stop: (reason: string) => Promise<void>, options: ShutdownOptions): void {
  let stopping = false;
  const run = (reason: string, exitCode: number): void => {
    if (stopping) {
      if (exitCode === 0) process.exit(1);
      return;
    }
    stopping = true;
    options.logger.info({ reason }, 'stopping');
    const timer = setTimeout(() => {
      options.logger.error({ timeoutMs: options.timeoutMs }, 'stop took too long');
      process.exit(1);
    }, options.timeoutMs);
    timer.unref();
    stop(reason).then(
      () => process.exit(exitCode),
      (error: unknown) => {
        options.logger.error({ err: error }, 'stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', () => run('SIGINT', 0));
  process.on('SIGTERM', () => run('SIGTERM', 0));
  process.on('uncaughtException', (error) => {
    options.logger.fatal({ err: error }, 'uncaught exception');
    run('uncaughtException', 1);
  });
  process.on('unhandledRejection', (error) => {
    options.logger.fatal({ err: error }, 'unhandled rejection');
    run('unhandledRejection', 1);
  });
}
