import type { Api } from '../../api-type.ts';
import { readNotification } from '../../notifier/notification.ts';
import { destinationAt } from '../destinations/location.ts';
import { CreateAnswer, CreateBody } from './create-schemas.ts';
import type { RunDeps } from './deps.ts';
import { estimateBackup } from './estimate-backup.ts';
import { normaliseCreate } from './normalise.ts';
import { BACKUP_ERRORS, startBackup } from './start-backup.ts';

/** Document 2's creation of a backup. */
export function createBackupRoute(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/create',
    {
      config: {
        audit: {
          action: 'backup.create',
          target: 'backup',
          shows: ['type', 'project_id', 'server_id', 'services', 'copy_to'],
        },
        role: 'admin',
        idempotent: true,
        errors: ['INVALID_BACKUP_TYPE', 'NOT_SUPPORTED', ...BACKUP_ERRORS],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Start a backup',
        description:
          'Of the default project’s services, or of those that project_id, server_id, services and components leave. Answers 202 at once; with `Prefer: wait=N`, 200 when the backup has ended in time.',
        body: CreateBody,
        response: { 200: CreateAnswer, 202: CreateAnswer },
      },
    },
    async (request, reply) => {
      const wanted = normaliseCreate(request.body);
      const { project_id: projectId, notification, location } = request.body;
      const { backupId, backup, job } = await startBackup(deps, request, reply, {
        ...wanted,
        ...(projectId === undefined ? {} : { projectId }),
        ...(location === undefined ? {} : { destinationId: await destinationAt(deps.db, location) }),
        notification: await readNotification(deps.notifications, notification),
      });
      const estimate = backup && (await estimateBackup(deps.db, backup));
      return {
        success: true as const,
        data: {
          backup_id: backupId,
          status: backup?.status ?? 'in_progress',
          started_at: (backup?.startedAt ?? new Date()).toISOString(),
          estimated_duration_seconds: estimate?.seconds ?? null,
          estimated_size_bytes: estimate?.bytes ?? null,
          progress_url: `/api/backups/status/${backupId}`,
          warnings: backup?.warnings ?? wanted.warnings,
        },
        message: job?.endedAt ? messageOf(backup?.status) : 'Backup initiated successfully',
      };
    },
  );
}

function messageOf(status: string | undefined): string {
  return status === 'partial'
    ? 'Backup completed, but some services failed: see its details'
    : 'Backup completed successfully';
}
