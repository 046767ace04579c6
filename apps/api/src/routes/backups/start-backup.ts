import type { ErrorCode } from '@tarfleet/contracts';
import type { FullBackup, JobRecord } from '@tarfleet/db';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type BackupRequest, planBackup } from '../../planner/backup.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';

/** What may be in the way of a backup, whichever document asks for it. */
export const BACKUP_ERRORS = [
  'NOTHING_TO_BACK_UP',
  'CREDENTIALS_REQUIRED',
  'NOT_FOUND',
  'COMPONENT_NOT_FOUND',
  'POOL_NOT_FOUND',
  'BACKUP_IN_PROGRESS',
  'RESTORE_IN_PROGRESS',
  'HOST_KEY_NOT_PINNED',
  'CONFLICT',
  'ENCRYPTION_KEY_NOT_FOUND',
] as const satisfies readonly ErrorCode[];

/** A request in its one form; left out, the project is the default one. */
export type BackupWish = Omit<BackupRequest, 'projectId' | 'userId' | 'scheduleId' | 'requestId'> & {
  projectId?: number;
};

export interface StartedBackup {
  backupId: string;
  backup: FullBackup | null;
  /** Null when nobody waited for it. */
  job: JobRecord | null;
}

/** Starts a backup and waits for it as the client prefers; sets the answer's status and location. The job's own failure is thrown. */
export async function startBackup(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  wish: BackupWish,
): Promise<StartedBackup> {
  const { userId } = actorOf(request);
  const projectId = wish.projectId ?? (await deps.db.projects.ensureDefault()).id;
  if (wish.projectId !== undefined && !(await deps.db.projects.get(projectId))) throw notFound('project');
  const draft = await planBackup(deps, {
    ...wish,
    ...{ projectId, userId, scheduleId: null, requestId: request.id },
  });
  await submitFor(request, deps.dispatcher, draft);
  const backupId = draft.root.id;
  request.log.info({ backupId, services: draft.children.length }, 'backup accepted');

  const job = await waitAsPreferred(deps, request, backupId, preferredWait(request, reply));
  assertNotFailed(job, { backup_id: backupId });
  reply.code(job?.endedAt ? 200 : 202).header('location', `/api/jobs/${backupId}`);
  return { backupId, backup: await deps.db.backups.get(backupId), job };
}
