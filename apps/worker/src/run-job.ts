import { createParser, type JobKind, JobResult, type Plan } from '@tarfleet/contracts';
import { AppError, type Logger, toFailure } from '@tarfleet/kernel';
import type { Delivery, DeliveryHandler } from '@tarfleet/queue';
import type { JobContext, Outcome, Processor } from './job-context.ts';
import { createReporter, type ReporterOptions } from './jobs/reporter.ts';

export type Processors = { [K in JobKind]: Processor<Extract<Plan, { kind: K }>> };

export interface RunJobDeps {
  logger: Logger;
  workerId: string;
  processors: Processors;
  /** Checks signature, expiry, version and schema of a plan, and that it is meant for this job. */
  readPlan(token: string, expected: { jobId: string; pool: string; kind: JobKind }): Promise<Plan>;
  publish: ReporterOptions['publish'];
}

/**
 * What every job has in common: plan checked, log scope, started and ended events, and the one rule for how an
 * attempt may end. A superseded attempt says nothing more; a stopping worker's job goes back to the queue;
 * a retryable fault is tried again while tries are left; all else ends the job with an `ended` event that is in
 * the queue before the job itself counts as finished.
 */
export function createRunJob(deps: RunJobDeps): DeliveryHandler {
  return async (delivery) => {
    const { jobId, kind, attempt, token, signal } = delivery;
    const log = deps.logger.child({ jobId, kind, attempt });
    const report = createReporter({ jobId, kind, attempt, token, signal, publish: deps.publish });
    report.emit({ type: 'started', worker: deps.workerId });
    const startedAt = process.hrtime.bigint();
    const seconds = (): number => Number(process.hrtime.bigint() - startedAt) / 1e9;
    try {
      const outcome = await dispatch(deps, delivery, report, log);
      await delivery.assertOwned();
      report.emit({ type: 'ended', state: outcome.state, result: outcome.result });
      await report.flush();
      log.info({ state: outcome.state, seconds: seconds() }, 'job ended');
      return outcome.result;
    } catch (thrown) {
      const left = resultIn(thrown);
      // What came of a job that was cancelled is told by the job itself, where it can.
      const error = delivery.signal.aborted && left === null ? delivery.signal.reason : thrown;
      const failure = toFailure(error);
      const facts = { code: failure.code, seconds: seconds() };
      if (failure.code === 'ATTEMPT_SUPERSEDED') {
        log.warn(facts, 'attempt superseded');
        report.drop();
        throw error;
      }
      const again = failure.code === 'WORKER_STOPPING' || (failure.retryable && !delivery.isLastTry);
      if (again) {
        log.warn({ ...facts, err: thrown }, 'attempt failed, the job will be tried again');
        report.emit({ type: 'retrying', failure });
        await report.flush();
        throw error;
      }
      // The queue alone holds the end where it cannot say whose the job is: the reconciler finds it there.
      const lost = await delivery.assertOwned().then(() => null, toFailure);
      if (lost?.code === 'ATTEMPT_SUPERSEDED') {
        log.warn({ ...facts, code: lost.code, err: thrown }, 'attempt superseded');
        report.drop();
        throw new AppError(lost.code, lost.message, { cause: thrown });
      }
      if (lost) {
        report.drop();
        throw new AppError(failure.code, failure.message, { cause: thrown });
      }
      const state = failure.code === 'CANCELLED' ? 'cancelled' : 'failed';
      log.warn({ ...facts, state, err: thrown }, 'job ended');
      report.emit({
        ...{ type: 'ended', state, failure: { ...failure, retryable: false } },
        ...(left ? { result: left } : {}),
      });
      await report.flush();
      throw new AppError(failure.code, failure.message, { cause: thrown });
    }
  };
}

/** What was cancelled still has to be cleaned up or put back: these look at the signal themselves. */
const CLEANS_UP: ReadonlySet<JobKind> = new Set(['backup', 'restore', 'rollback']);
const parseResult = createParser(JobResult);

/** What a failed job left behind, where its error says so. */
function resultIn(error: unknown): JobResult | null {
  if (!(error instanceof AppError) || error.details === undefined) return null;
  const parsed = parseResult(error.details);
  return parsed.ok ? parsed.value : null;
}

async function dispatch(
  deps: RunJobDeps,
  delivery: Delivery,
  report: JobContext['report'],
  log: Logger,
): Promise<Outcome> {
  const { jobId, pool, kind, signal } = delivery;
  const plan = await deps.readPlan(delivery.plan, { jobId, pool, kind });
  const scoped = log.child({
    requestId: plan.requestId,
    ...('backupId' in plan ? { backupId: plan.backupId } : plan.kind === 'backup' ? { backupId: jobId } : {}),
  });
  scoped.info('job started');
  if (!CLEANS_UP.has(kind)) signal.throwIfAborted();
  const processor = deps.processors[plan.kind] as Processor<Plan>;
  return processor({
    plan,
    delivery,
    signal,
    report,
    progress: (value) => delivery.progress(value),
    log: scoped,
  });
}
