import type { Api } from '../../api-type.ts';
import { hideIfNeeded, planDelete } from '../../planner/on-backup.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { actorOf } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';
import { findBackup } from './find.ts';
import { formatBytes, iso } from './formats.ts';
import { DeleteAnswer, DeleteQuery, IdParams } from './schemas.ts';

/** Deletion, by the rules of documents 2 and 3: what is still to be kept goes only by force, with a reason; what is locked does not go. */
export function deleteBackupRoute(app: Api, deps: RunDeps): void {
  app.delete(
    '/api/backups/:id',
    {
      config: {
        audit: { action: 'backup.delete', target: 'backup', param: 'id', shows: ['force', 'reason'] },
        needs: 'operator',
        errors: [
          'BACKUP_NOT_FOUND',
          'BACKUP_IN_PROGRESS',
          'RESTORE_IN_PROGRESS',
          'RETENTION_POLICY_VIOLATION',
          'CONFLICT',
        ],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Delete a backup and its stored objects',
        params: IdParams,
        querystring: DeleteQuery,
        response: { 200: DeleteAnswer, 202: DeleteAnswer },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.id, 'operator');
      const { force = false, reason } = request.query;
      if (force && reason === undefined) {
        throw invalid([{ path: 'query/reason', message: 'is required when force is true' }]);
      }
      const leave = { by: 'user', force } as const;
      if (await hideIfNeeded(deps.db, backup, leave)) {
        request.log.info({ backupId: backup.id, force, reason }, 'backup hidden');
        reply.code(200);
        return {
          success: true as const,
          data: {
            backup_id: backup.id,
            deleted_at: new Date().toISOString(),
            space_freed_bytes: 0,
            space_freed_formatted: formatBytes(0),
            job_id: null,
          },
          message:
            'Backup deleted. Later backups still need what it stored: that is removed with the last of them.',
        };
      }
      const draft = await planDelete(deps, {
        backup,
        leave,
        userId: actorOf(request).userId,
        requestId: request.id,
      });
      await submitFor(request, deps.dispatcher, draft);
      request.log.info({ backupId: backup.id, force, reason }, 'deletion accepted');

      const wait = preferredWait(request, reply);
      const job = await waitAsPreferred(deps, request, draft.root.id, wait);
      assertNotFailed(job, { backup_id: backup.id });
      const freed = job?.result?.kind === 'delete' ? job.result.bytes : null;
      reply.code(job?.endedAt ? 200 : 202).header('location', `/api/jobs/${draft.root.id}`);
      return {
        success: true as const,
        data: {
          backup_id: backup.id,
          deleted_at: iso(job?.endedAt ?? null),
          space_freed_bytes: freed,
          space_freed_formatted: freed === null ? null : formatBytes(freed),
          job_id: draft.root.id,
        },
        message: job?.endedAt ? 'Backup deleted successfully' : 'Backup deletion started',
      };
    },
  );
}
