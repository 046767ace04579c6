import type { PreviewResult } from '@tarfleet/contracts';
import type { FastifyRequest } from 'fastify';
import { cancelJob } from '../../cancel.ts';
import { planPreview } from '../../planner/preview.ts';
import type { RestoreSubject } from '../../planner/resolve-restore.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';
import type { PreviewData } from './preview-schemas.ts';
import { readKnown, viewPreview } from './view-preview.ts';

export interface Looked {
  jobId: string;
  result: PreviewResult | null;
  data: PreviewData;
}

export interface LookOptions {
  waitSeconds: number;
  /** Whether nobody asks for the result when it has not come in that time: then it is called off, or not begun. */
  orNever: boolean;
  /** To be told beside what is found. */
  warnings: readonly string[];
}

/**
 * Has a worker look what a restore would do, and waits for it. Whoever waited in vain gets what the database tells.
 * The job's own failure is thrown.
 */
export async function lookAtRestore(
  deps: RunDeps,
  request: FastifyRequest,
  subject: RestoreSubject,
  { waitSeconds, orNever, warnings }: LookOptions,
): Promise<Looked> {
  const planned = await planPreview(deps, subject);
  const asks = !orNever || waitSeconds > 0;
  if (asks) await submitFor(request, deps.dispatcher, planned.draft);
  const { jobId } = planned.plan;
  const result = asks ? await waitForResult(deps, request, jobId, { waitSeconds, orNever }) : null;
  const known = await readKnown(deps.db, subject.backup, planned);
  return { jobId, result, data: viewPreview({ subject, planned, asks, result, known, warnings }) };
}

async function waitForResult(
  deps: RunDeps,
  request: FastifyRequest,
  jobId: string,
  { waitSeconds, orNever }: Pick<LookOptions, 'waitSeconds' | 'orNever'>,
): Promise<PreviewResult | null> {
  const job = await waitAsPreferred(deps, request, jobId, waitSeconds);
  assertNotFailed(job);
  if (!job) return null;
  if (job.endedAt === null && orNever) {
    await cancelJob(deps.cancel, job, 'Nobody waits for this preview any longer').catch((error: unknown) =>
      request.log.debug({ err: error, jobId }, 'preview not cancelled'),
    );
  }
  return job.result?.kind === 'preview' ? job.result : null;
}
