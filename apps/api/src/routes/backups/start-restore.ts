import type { RestoreResult } from '@tarfleet/contracts';
import type { JobRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { planRestore, type RestoreRequest } from '../../planner/restore.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { type RunDeps, waitAsPreferred } from './deps.ts';

export interface StartedRestore {
  id: string;
  /** Null when nobody waited for it. */
  job: JobRecord | null;
  /** The job, once it has ended. */
  ended: JobRecord | null;
  result: RestoreResult | null;
}

/** Starts a restore and waits for it as the client prefers; sets the answer's status and location. RESTORE_FAILED where it failed. */
export async function startRestore(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  subject: Omit<RestoreRequest, 'keepHours'>,
): Promise<StartedRestore> {
  const draft = await planRestore(deps, { ...subject, keepHours: deps.config.RESTORE_KEEP_HOURS });
  await submitFor(request, deps.dispatcher, draft);
  const { id } = draft.root;
  request.log.info({ backupId: subject.backup.id, restoreJobId: id }, 'restore accepted');
  const job = await waitAsPreferred(deps, request, id, preferredWait(request, reply));
  const ended = job?.endedAt ? job : null;
  const result = assertRestored(ended, id);
  reply.code(ended ? 200 : 202).header('location', `/api/jobs/${id}`);
  return { id, job, ended, result };
}

/** What came of a restore that has ended; null while it runs. */
function assertRestored(ended: JobRecord | null, restoreJobId: string): RestoreResult | null {
  const result = ended?.result?.kind === 'restore' ? ended.result : null;
  if (!ended?.failure) return result;
  throw new AppError('RESTORE_FAILED', `Restore failed: ${ended.failure.message}`, {
    details: { restoreJobId, code: ended.failure.code, rolledBack: result?.outcome === 'rolled_back' },
  });
}

/** Services that ran before and do not now, as a warning. */
export function notRunning(names: string[]): string[] {
  return names.length === 0 ? [] : [`These ran before and do not run now: ${names.join(', ')}.`];
}
