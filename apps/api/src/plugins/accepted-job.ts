import type { FastifyRequest } from 'fastify';
import type { Dispatcher, RunDraft } from '../dispatcher.ts';
import type { Caller } from '../jobs-port.ts';
import { actorOf } from './actor.ts';
import { auditAccepted } from './audit.ts';
import { keepForJob } from './idempotency.ts';

/**
 * Submits what a request asked for, once: in the transaction that stores the job the request's Idempotency-Key
 * becomes the job's, so that no repeat starts a second one, however the first answer gets lost, and the audit log gets
 * its row. From then on every
 * answer, an error too, names the job.
 */
export async function submitFor(
  request: FastifyRequest,
  dispatcher: Pick<Dispatcher, 'submit'>,
  draft: RunDraft,
): Promise<void> {
  const jobId = draft.root.id;
  await dispatcher.submit({
    ...draft,
    async record(tx) {
      await draft.record(tx);
      await keepForJob(tx, request, jobId);
      await auditAccepted(tx, request, { id: jobId, projectId: draft.root.projectId });
    },
  });
  request.acceptedJob = jobId;
}

/** The same for a job that `JobStarter` submits: who asks, with the request's key going to the job. */
export function jobCaller(request: FastifyRequest): Caller {
  return {
    actor: actorOf(request),
    requestId: request.id,
    accepting: async (tx, jobId) => {
      await keepForJob(tx, request, jobId);
      await auditAccepted(tx, request, { id: jobId });
    },
  };
}
