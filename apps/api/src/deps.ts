import type { Database } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import type { Registry } from 'prom-client';
import type { CancelOptions } from './cancel.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Downloads } from './downloads/downloads.ts';
import type { ApiConfig } from './env.ts';
import type { JobStarter } from './jobs-port.ts';
import type { LiveHub } from './live/hub.ts';
import type { PlanKeys } from './planner/targets.ts';

/** The API's own keys, ready for use. */
export interface ApiVault extends PlanKeys {
  /** At least 32 random bytes; signs sessions, and keys of other uses are derived from it. */
  jwtSecret: Uint8Array;
}

/** All that the routes stand on. Nothing below reads the environment or opens a connection. */
export interface AppDeps {
  config: ApiConfig;
  logger: Logger;
  db: Database;
  /** What time it is for schedules: the database's, so that all replicas agree. */
  clock(): Promise<Date>;
  queue: Pick<QueueProducer, 'ping'>;
  vault: ApiVault;
  jobs: JobStarter;
  dispatcher: Dispatcher;
  hub: LiveHub;
  cancel: CancelOptions;
  downloads: Downloads;
  /** Adds figures to `/metrics`: queue depth, durations, bytes. Called once. */
  addMetrics?: (registry: Registry) => void;
  /** Compares every answer with its schema; for tests. */
  checkResponses?: boolean;
}
