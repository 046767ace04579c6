/**
 * What the rest of Tarfleet knows of the queue. Both backends (BullMQ on Postgres, BullMQ on Redis) give
 * exactly this; nothing else in the project names BullMQ.
 */
import type { EventBatch, FleetMessage, Heartbeat, JobKind, Progress } from '@tarfleet/contracts';

/** Where one job lies. */
export interface JobRef {
  jobId: string;
  pool: string;
  kind: JobKind;
}

export interface QueueJob extends JobRef {
  /** The signed plan. The queue does not look inside. */
  plan: string;
  /** Counts dispatches of this row from 1: a job that the queue lost and that is sent again has a higher one. */
  generation: number;
  /** Of a flow's child: a cancel of this job is a cancel of the child too. */
  parentJobId?: string;
}

export type QueueState =
  | { state: 'missing' }
  | { state: 'waiting' | 'delayed' | 'active' | 'waiting-children' }
  | { state: 'completed'; result: unknown }
  | { state: 'failed'; reason: string };

/** The API's end. Every call rejects with a retryable UNAVAILABLE within a few seconds when the queue is down. */
export interface QueueProducer {
  /** Adds a job; adding the same job again while it is in the queue changes nothing. */
  enqueue(job: QueueJob): Promise<void>;
  /** Adds a parent that runs once every child has ended, well or not. All or nothing. */
  enqueueFlow(parent: QueueJob, children: QueueJob[]): Promise<void>;
  state(ref: JobRef): Promise<QueueState>;
  /** Whether a worker has ever taken the job that is in the queue now; false when there is none. */
  hasBegun(ref: JobRef): Promise<boolean>;
  /**
   * Takes a job, and the children of a flow, out of the queue. False when a worker holds it (or one of its
   * children) now; true when nothing of it is left, also when there was nothing.
   */
  remove(ref: JobRef): Promise<boolean>;
  /** Takes away those children that no worker has started; the parent then runs when the started ones end. */
  removeWaitingChildren(ref: JobRef): Promise<void>;
  /** Leaves a record that the owner of the job, in any process, sees within 2 s. Idempotent. */
  requestCancel(jobId: string, reason: string): Promise<void>;
  clearCancel(jobId: string): Promise<void>;
  /** Jobs by state, one entry for each queue of the given pools. */
  depth(pools: string[]): Promise<QueueDepth[]>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface QueueDepth {
  pool: string;
  kind: JobKind;
  waiting: number;
  active: number;
  delayed: number;
  waitingChildren: number;
  completed: number;
  failed: number;
}

/** One try at a job, in a worker's hands. */
export interface Delivery extends JobRef {
  plan: string;
  /** generation * 1000 + how often a worker has started it within that generation. */
  attempt: number;
  /** Random, new for each try: part of the attempt's object keys. 12 lower-case hex digits. */
  token: string;
  /** True when no further try follows a retryable failure of this one. */
  isLastTry: boolean;
  /**
   * Aborted with an AppError as reason: CANCELLED (somebody asked), ATTEMPT_SUPERSEDED (the lock is lost),
   * WORKER_STOPPING (the job goes back to the queue).
   */
  signal: AbortSignal;
  /** Throws ATTEMPT_SUPERSEDED unless this try still holds the job's lock; call it right before whatever cannot be undone. */
  assertOwned(): Promise<void>;
  /** May be called as often as one likes; sends at most once a second, and the last one always. Never throws. */
  progress(report: Omit<Progress, 'attempt' | 'n'>): void;
  /** Of a flow's parent: what its children gave back, or why they failed, by job id. */
  childOutcomes(): Promise<Map<string, { ok: true; result: unknown } | { ok: false; reason: string }>>;
}

/**
 * Runs one delivery. What it returns is the job's result. A thrown AppError that is not retryable ends the job;
 * a retryable one is tried again with a growing pause until the tries are used up. When the signal's reason is
 * WORKER_STOPPING the job goes back to the front of the queue, whatever the handler throws.
 */
export type DeliveryHandler = (delivery: Delivery) => Promise<unknown>;

export interface ConsumeOptions {
  pool: string;
  kind: JobKind;
  /** Jobs at once in this process. */
  concurrency: number;
  handler: DeliveryHandler;
}

export interface Consumer {
  /** What runs here now. */
  running(): JobRef[];
  /** Takes no new job; waits up to `graceMs` for those running, then aborts them with WORKER_STOPPING and waits for their end. */
  close(graceMs: number): Promise<void>;
}

/** The worker's end. */
export interface QueueWorker {
  consume(options: ConsumeOptions): Promise<Consumer>;
  /**
   * Hands a message to the events queue. Resolves when the queue has it; while the queue is down it tries again
   * for as long as the signal is not aborted. The same batch twice is stored once.
   */
  publish(message: EventBatch | Heartbeat, signal?: AbortSignal): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The recorder's end, in every API process. */
export interface QueueEvents {
  /** Calls the handler for each message, several at a time; a rejection puts the message back for later. A message that no schema fits is logged and kept as failed. */
  onMessage(handler: (message: FleetMessage) => Promise<void>): Promise<void>;
  /** Progress of running jobs in these pools; may lose some. */
  onProgress(pools: string[], handler: (jobId: string, progress: Progress) => void): Promise<void>;
  /** Stops taking messages and waits for those in hand. */
  close(): Promise<void>;
}
