import type { Logger } from '@tarfleet/kernel';
import type { BackendFactory, IQueueBackend } from 'bullmq';
import type { FaultLog } from './fault-log.ts';

/** The connections of one process to one backend, and how BullMQ's objects come to share them. */
export interface Transport {
  readonly backend: 'postgres' | 'redis';
  /** Builds BullMQ's side of a queue on these connections. The objects' `close()` leaves them open. */
  readonly factory: BackendFactory<IQueueBackend, object>;
  /** Asks the server for a sign of life. Rejects with the driver's error. */
  ping(): Promise<void>;
  /** How far the server's clock is ahead of this process, in milliseconds; null where it does not matter. */
  clockAheadMs(): Promise<number | null>;
  /** Ends every connection, used or not. */
  close(): Promise<void>;
}

export interface TransportOptions {
  logger: Logger;
  onFault: FaultLog;
  /** Longest wait for a first connection and for a call, in milliseconds. */
  callMs: number;
}
