/** The job queue, on BullMQ over Postgres or Redis. The only place that knows of either. */
export { type BareOptions, measureBareBullmq } from './bench-bare.ts';
export { createQueueEvents } from './events.ts';
export { migrateQueue } from './migrate.ts';
export { createQueueProducer } from './producer.ts';
export type { QueueOptions, QueueSettings } from './settings.ts';
export * from './types.ts';
export { createQueueWorker } from './worker.ts';
