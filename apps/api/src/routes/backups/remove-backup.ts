import type { ErrorCode } from '@tarfleet/contracts';
import type { FullBackup } from '@tarfleet/db';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hideIfNeeded, planDelete, type StaysFor } from '../../planner/on-backup.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import type { Leave } from '../../retention/may-go.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';

export const DELETE_ERRORS = [
  'BACKUP_NOT_FOUND',
  'BACKUP_IN_PROGRESS',
  'RESTORE_IN_PROGRESS',
  'RETENTION_POLICY_VIOLATION',
  'CONFLICT',
] as const satisfies readonly ErrorCode[];

export interface Removed {
  /** Null while its objects are being removed. */
  deletedAt: Date | null;
  /** Bytes; null where that is not known yet. */
  freed: number | null;
  /** Null when no job was needed. */
  jobId: string | null;
  message: string;
}

const STAYS: Record<StaysFor, string> = {
  backups: 'Backup deleted. Later backups still need what it stored: that is removed with the last of them.',
  downloads: 'Backup deleted. It is being downloaded: what it stored is removed once that has ended.',
};

/** Deletes a backup on somebody's word and waits for it as the client prefers; sets the answer's status and location. */
export async function removeBackup(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  backup: FullBackup,
  leave: Extract<Leave, { by: 'user' }>,
): Promise<Removed> {
  const { id: backupId } = backup;
  const staysFor = await hideIfNeeded(deps.db, backup, leave);
  if (staysFor !== null) {
    request.log.info({ backupId, force: leave.force, staysFor }, 'backup hidden');
    reply.code(200);
    return { deletedAt: new Date(), freed: 0, jobId: null, message: STAYS[staysFor] };
  }
  const { userId } = actorOf(request);
  const draft = await planDelete(deps, { backup, leave, userId, requestId: request.id });
  await submitFor(request, deps.dispatcher, draft);
  const jobId = draft.root.id;
  request.log.info({ backupId, force: leave.force }, 'deletion accepted');

  const job = await waitAsPreferred(deps, request, jobId, preferredWait(request, reply));
  assertNotFailed(job, { backup_id: backupId });
  const ended = job?.endedAt ?? null;
  reply.code(ended ? 200 : 202).header('location', `/api/jobs/${jobId}`);
  return {
    deletedAt: ended,
    freed: job?.result?.kind === 'delete' ? job.result.bytes : null,
    jobId,
    message: ended ? 'Backup deleted successfully' : 'Backup deletion started',
  };
}
