import type { Api } from '../../api-type.ts';
import { invalid } from '../../plugins/faults.ts';
import type { RunDeps } from './deps.ts';
import { findBackup } from './find.ts';
import { formatBytes, iso } from './formats.ts';
import { DELETE_ERRORS, removeBackup } from './remove-backup.ts';
import { DeleteAnswer, DeleteQuery, IdParams } from './schemas.ts';

/** Deletion, by the rules of documents 2 and 3: what is still to be kept goes only by force, with a reason; what is locked does not go. */
export function deleteBackupRoute(app: Api, deps: RunDeps): void {
  app.delete(
    '/api/backups/:id',
    {
      config: {
        audit: { action: 'backup.delete', target: 'backup', param: 'id', shows: ['force', 'reason'] },
        needs: 'operator',
        errors: [...DELETE_ERRORS],
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
      const removed = await removeBackup(deps, request, reply, backup, { by: 'user', force });
      const { deletedAt, freed, jobId, message } = removed;
      return {
        success: true as const,
        data: {
          backup_id: backup.id,
          deleted_at: iso(deletedAt),
          space_freed_bytes: freed,
          space_freed_formatted: freed === null ? null : formatBytes(freed),
          job_id: jobId,
        },
        message,
      };
    },
  );
}
