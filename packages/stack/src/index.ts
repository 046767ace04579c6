/** The whole system on one machine. */
export { type RunningPostgres, startPostgres } from './postgres.ts';
