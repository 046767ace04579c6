import type { JobResult, Plan, Progress } from '@tarfleet/contracts';
import type { Logger } from '@tarfleet/kernel';
import type { Delivery } from '@tarfleet/queue';
import type { JobReporter } from './jobs/reporter.ts';

/** What a processor gets: its plan, parsed and checked, and the ways to speak of what it does. */
export interface JobContext<P extends Plan = Plan> {
  plan: P;
  delivery: Pick<Delivery, 'attempt' | 'token' | 'assertOwned' | 'childOutcomes'>;
  /** Aborted when the job is cancelled, superseded, or the worker stops. */
  signal: AbortSignal;
  report: JobReporter;
  progress(report: Omit<Progress, 'attempt' | 'n'>): void;
  log: Logger;
}

/** How a job ended well; everything else is thrown. */
export interface Outcome {
  state: 'completed' | 'partial';
  result: JobResult;
}

export type Processor<P extends Plan> = (context: JobContext<P>) => Promise<Outcome>;
