import type { RestoreRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { planRollback } from '../../planner/rollback.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { type RunDeps, waitAsPreferred } from '../backups/deps.ts';
import { durationOf } from '../backups/restore.ts';
import { notRunning } from '../backups/start-restore.ts';
import { IdParams, NoBody } from '../shapes.ts';
import { RollbackAnswer } from './schemas.ts';

type Deps = Omit<RunDeps, 'config' | 'notifications'>;

/** Takes the way back that a restore has left, on request. */
export function rollbackRoute(app: Api, deps: Deps): void {
  app.post(
    '/api/backups/restore-jobs/:id/rollback',
    {
      config: {
        audit: { action: 'restore.rollback', target: 'job', param: 'id' },
        rateLimit: 'restores',
        idempotent: true,
        needs: 'operator',
        errors: [
          'NOT_FOUND',
          'CONFLICT',
          'CREDENTIALS_REQUIRED',
          'POOL_NOT_FOUND',
          'HOST_KEY_NOT_PINNED',
          'BACKUP_IN_PROGRESS',
          'RESTORE_IN_PROGRESS',
          'RESTORE_FAILED',
        ],
      },
      schema: {
        tags: ['Restores'],
        summary: 'Undo a restore: put back what was there before it',
        params: IdParams,
        body: NoBody,
        response: { 200: RollbackAnswer, 202: RollbackAnswer },
      },
    },
    async (request, reply) => {
      const restore = await findRestore(deps, request, request.params.id);
      const { userId, role } = actorOf(request);
      const draft = await planRollback(deps, {
        ...{ restore, action: 'undo', userId, requestId: request.id },
        mayUseLocal: role === 'admin',
      });
      await submitFor(request, deps.dispatcher, draft);
      const rollbackJobId = draft.root.id;
      request.log.info({ restoreJobId: restore.id, rollbackJobId }, 'rollback accepted');

      const wait = preferredWait(request, reply);
      const job = await waitAsPreferred(deps, request, rollbackJobId, wait);
      const ended = job?.endedAt ? job : null;
      if (ended?.failure) {
        throw new AppError('RESTORE_FAILED', `Rollback failed: ${ended.failure.message}`, {
          details: { restoreJobId: restore.id, rollbackJobId, code: ended.failure.code },
        });
      }
      const result = ended?.result?.kind === 'rollback' ? ended.result : null;
      reply.code(ended ? 200 : 202).header('location', `/api/jobs/${rollbackJobId}`);
      return {
        success: true as const,
        message: ended ? 'Restore rolled back successfully' : 'Rollback initiated successfully',
        data: {
          rollbackJobId,
          restoreJobId: restore.id,
          status: ended ? 'rolled_back' : 'pending',
          servicesRestored: result?.restored ?? [],
          duration: durationOf(ended),
          warnings: notRunning(result?.notRunning ?? []),
        },
      };
    },
  );
}

/** For whoever may work on both, the backup and the server that it was restored to. */
async function findRestore(
  { db, access }: Deps,
  request: FastifyRequest,
  id: string,
): Promise<RestoreRecord> {
  const missing = notFound('restore job');
  const restore = await db.restores.get(id);
  if (!restore) throw missing;
  const { projectId, serverProjectId } = restore;
  for (const project of new Set([projectId, serverProjectId ?? projectId])) {
    await access.require(actorOf(request), project, 'operator', missing);
  }
  return restore;
}
