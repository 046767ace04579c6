import type { AuditStep, Database, JobRecord, RestoreRecord } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { type Access, notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { iso } from '../backups/formats.ts';
import { readProgress } from '../jobs/progress.ts';
import { IdParams } from '../shapes.ts';
import { GetAnswer, ListAnswer, ListQuery } from './schemas.ts';

/** Document 1's restore jobs. A user sees their own list; a job's details are for whoever sees its project. */
export function restoreJobRoutes(app: Api, { db, access }: { db: Database; access: Access }): void {
  app.get(
    '/api/backups/restore-jobs',
    {
      config: { rateLimit: 'status' },
      schema: {
        tags: ['Restores'],
        summary: 'List one’s own restore jobs, newest first',
        querystring: ListQuery,
        response: { 200: ListAnswer },
      },
    },
    async (request) => {
      const { userId } = actorOf(request);
      const rows = await db.restores.list({ userId, limit: request.query.limit });
      const data: ReturnType<typeof viewRestore>[] = [];
      for (const row of rows) data.push(viewRestore(row, await percentOf(db, row)));
      return {
        success: true as const,
        message: 'Restore jobs retrieved successfully',
        data,
        count: data.length,
      };
    },
  );

  app.get(
    '/api/backups/restore-jobs/:id',
    {
      config: { rateLimit: 'status', needs: 'viewer' },
      schema: {
        tags: ['Restores'],
        summary: 'Show a restore job with its steps',
        params: IdParams,
        response: { 200: GetAnswer },
      },
    },
    async (request) => {
      const restore = await db.restores.get(request.params.id);
      if (!restore) throw notFound('restore job');
      await access.require(actorOf(request), restore.projectId, 'viewer', notFound('restore job'));
      const steps = await db.restores.steps(restore.id);
      return {
        success: true as const,
        message: 'Restore job status retrieved successfully',
        data: {
          ...viewRestore(restore, await percentOf(db, restore)),
          rollback_path: restore.rollbackPath,
          rollback_expires_at: iso(restore.rollbackExpiresAt),
          backup_type: restore.backupType,
          record_notices: restore.recordNotices,
          audit_logs: steps.map(viewStep),
        },
      };
    },
  );
}

/** While it runs, what the worker last reported; the record has it when it has ended. */
async function percentOf(db: Pick<Database, 'jobs'>, restore: RestoreRecord): Promise<number> {
  if (restore.completedAt !== null) return restore.progressPercentage;
  const job: JobRecord | null = await db.jobs.get(restore.id);
  return job ? (await readProgress(db, job)).percent : 0;
}

function viewRestore(restore: RestoreRecord, percent: number) {
  return {
    id: restore.id,
    backup_id: restore.backupId,
    server_id: restore.serverId,
    restore_type: restore.restoreType,
    status: restore.status,
    progress_percentage: percent,
    current_step: restore.currentStep,
    services_to_restore: restore.servicesToRestore,
    services_restored: restore.servicesRestored,
    services_failed: restore.servicesFailed,
    error_message: restore.errorMessage,
    started_at: iso(restore.startedAt),
    completed_at: iso(restore.completedAt),
    server_name: restore.serverName,
    server_ip: restore.serverHost,
  };
}

function viewStep(step: AuditStep) {
  return {
    step_number: step.stepNumber,
    step_name: step.stepName,
    status: step.status,
    message: step.message,
    details: step.details,
    started_at: iso(step.startedAt),
    completed_at: iso(step.completedAt),
    duration_ms: step.durationMs,
  };
}
