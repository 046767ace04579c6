/** The closed list of what every room may lean on: errors, environment, logs, shutdown, retry, time limits. */
export * from './app-error.ts';
export * from './env.ts';
export * from './logger.ts';
export * from './retry.ts';
export * from './shutdown.ts';
export * from './time-limit.ts';
