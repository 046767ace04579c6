/** The whole system on one machine. */
export { type RunningPostgres, startPostgres } from './postgres.ts';
export type { Process } from './processes.ts';
export type { FirstDestination } from './set-up.ts';
export { type RunningStack, type StackOptions, startStack } from './stack.ts';
