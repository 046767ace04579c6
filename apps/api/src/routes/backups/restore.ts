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
import { recordsHeld, wantedRecords } from './wanted-records.ts';

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
            'records',
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
      const from = { backup, destinationId: body.destination_id ?? null };
      const subject = { ...wanted, ...from, target, userId, requestId: request.id, mayUseLocal };
      const projectId = target?.projectId ?? backup.projectId;
      const { records, warnings: about } = wantedRecords({
        ...{ wanted: body.records, backup, role, projectId },
        whole: wanted.services === null && wanted.paths === null && wanted.restorePath === null,
      });
      warnings.push(...about);
      if (wantsLookAlone(body)) {
        const held = records ? recordsHeld(backup) : [];
        return validateRestore(deps, request, reply, subject, [...warnings, ...held]);
      }
      const wish = { ...subject, notification, ...(records ? { records } : {}) };
      const started = await startRestore(deps, request, reply, wish);
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
            ...(ended && records ? ((await deps.db.restores.get(restoreJobId))?.recordNotices ?? []) : []),
            ...warnings,
          ],
        },
        target_project_id: projectId,
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
