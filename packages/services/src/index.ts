/** How services on a server are stopped, started and checked: a driver for each kind of thing that runs them. */
export { createServiceControl, type ServiceControlOptions } from './create-service-control.ts';
export { type CommandEnd, endOf, runLimited } from './run-limited.ts';
export * from './types.ts';
