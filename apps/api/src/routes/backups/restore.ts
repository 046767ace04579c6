import type { JobRecord } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { readNotification } from '../../notifier/notification.ts';
import { actorOf } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import type { RunDeps } from './deps.ts';
import { findBackup } from './find.ts';
import { missingFrom } from './missing-from.ts';
import { normaliseRestore } from './normalise.ts';
import { RESTORE_ERRORS } from './restore-errors.ts';
import { RestoreAnswer, RestoreBody } from './restore-schemas.ts';
import { findRestoreTarget } from './restore-target.ts';
import { IdParams } from './schemas.ts';
import { notRunning, startRestore } from './start-restore.ts';
import { validateRestore, wantsLookAlone } from './validate-restore.ts';

/** Documents 1 and 3's restore; a request without `restoreType` is document 3's and gets its message. */
export function restoreBackupRoute(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/:id/restore',
    {
      config: {
        audit: {
          action: 'restore.start',
          target: 'backup',
          param: 'id',
          shows: [
            'restoreType',
            'selectedServices',
            'paths',
            'restorePath',
            'overwrite',
            'database',
            'validateOnly',
            'destination_id',
            'target_server_id',
            'target_project_id',
          ],
        },
        rateLimit: 'restores',
        rateLimitOf: (body) => (wantsLookAlone(body) ? 'verify' : 'restores'),
        idempotent: true,
        needs: 'operator',
        errors: [...RESTORE_ERRORS],
      },
      schema: {
        tags: ['Restores'],
        summary: 'Put a backup’s files back',
        params: IdParams,
        body: RestoreBody,
        response: { 200: RestoreAnswer, 202: RestoreAnswer },
      },
    },
    async (request, reply) => {
      const body = request.body ?? {};
      const backup = await findBackup(deps, request, request.params.id, 'operator');
      const { warnings, ...wanted } = normaliseRestore(body);
      const notification = await readNotification(deps.notifications, body.notification);
      if (notification && wantsLookAlone(body)) {
        throw invalid([{ path: 'body/notification', message: 'does not go with validateOnly' }]);
      }
      const target = await findRestoreTarget(deps, request, backup, body);
      const { userId, role } = actorOf(request);
      const mayUseLocal = role === 'admin';
      const destinationId = body.destination_id ?? null;
      const from = { backup, destinationId };
      const subject = { ...wanted, ...from, target, userId, requestId: request.id, mayUseLocal };
      if (wantsLookAlone(body)) return validateRestore(deps, request, reply, subject, warnings);
      const started = await startRestore(deps, request, reply, { ...subject, notification });
      const { id: restoreJobId, ended, result } = started;
      return {
        success: true as const,
        message: messageOf(ended !== null, body.restoreType === undefined),
        data: {
          restoreJobId,
          status: ended ? 'completed' : 'pending',
          servicesRestored: result?.restored ?? [],
          servicesFailed: [],
          filesRestored: result?.filesRestored ?? null,
          filesSkipped: result?.filesSkipped ?? null,
          duration: durationOf(ended),
          rolledBack: false,
          warnings: [
            ...missingFrom(backup, wanted.services),
            ...notRunning(result?.notRunning ?? []),
            ...warnings,
          ],
        },
        target_project_id: target?.projectId ?? backup.projectId,
      };
    },
  );
}

function messageOf(ended: boolean, projectForm: boolean): string {
  if (!ended) return 'Restore initiated successfully';
  return projectForm ? 'Backup restore completed successfully' : 'Backup restored successfully';
}

export function durationOf(job: JobRecord | null): number | null {
  if (!job?.endedAt || !job.startedAt) return null;
  return job.endedAt.getTime() - job.startedAt.getTime();
}
