/** The closed list of what every room may lean on: errors, environment, logs, shutdown, retry. */
export * from './app-error.ts';
export * from './env.ts';
export * from './logger.ts';
export * from './retry.ts';
export * from './shutdown.ts';
