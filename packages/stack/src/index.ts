/** The whole system on one machine. */
export { type RunningPostgres, startPostgres } from './postgres.ts';
export { type Process, startProcess } from './processes.ts';
export { type FirstDestination, type SetUp, setUp } from './set-up.ts';
export { type RunningStack, type StackOptions, startStack } from './stack.ts';
