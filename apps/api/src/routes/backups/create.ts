import type { Api } from '../../api-type.ts';
import { readNotification } from '../../notifier/notification.ts';
import { planBackup } from '../../planner/backup.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { destinationAt } from '../destinations/location.ts';
import { CreateAnswer, CreateBody } from './create-schemas.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';
import { estimateBackup } from './estimate-backup.ts';
import { normaliseCreate } from './normalise.ts';

/** Document 2's creation of a backup. */
export function createBackupRoute(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/create',
    {
      config: {
        audit: {
          action: 'backup.create',
          target: 'backup',
          shows: ['type', 'project_id', 'server_id', 'services'],
        },
        role: 'admin',
        idempotent: true,
        errors: [
          'INVALID_BACKUP_TYPE',
          'NOT_SUPPORTED',
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
        ],
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
      const { userId } = actorOf(request);
      const wanted = normaliseCreate(request.body);
      const project = request.body.project_id
        ? await deps.db.projects.get(request.body.project_id)
        : await deps.db.projects.ensureDefault();
      if (!project) throw notFound('project');
      const notification = await readNotification(deps.notifications, request.body.notification);
      const { location } = request.body;
      const draft = await planBackup(deps, {
        ...wanted,
        ...(location === undefined ? {} : { destinationId: await destinationAt(deps.db, location) }),
        notification,
        projectId: project.id,
        userId,
        scheduleId: null,
        requestId: request.id,
      });
      await submitFor(request, deps.dispatcher, draft);
      const backupId = draft.root.id;
      request.log.info({ backupId, services: draft.children.length }, 'backup accepted');

      const wait = preferredWait(request, reply);
      const job = await waitAsPreferred(deps, request, backupId, wait);
      assertNotFailed(job, { backup_id: backupId });
      const backup = await deps.db.backups.get(backupId);
      const estimate = backup && (await estimateBackup(deps.db, backup));
      reply.code(job?.endedAt ? 200 : 202).header('location', `/api/jobs/${backupId}`);
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
