import type { BackupStatus, FullBackup } from '@tarfleet/db';
import type { Static } from 'typebox';
import type { Api } from '../../api-type.ts';
import { notFound } from '../../plugins/access.ts';
import { BACKUP_ERRORS, startBackup } from '../../routes/backups/start-backup.ts';
import { showJob } from '../../routes/jobs/show-job.ts';
import { IdParams } from '../../routes/shapes.ts';
import type { TacacsDeps } from './deps.ts';
import {
  BackupsAnswer,
  BackupsQuery,
  GetAnswer,
  ListAnswer,
  ListQuery,
  TriggerAnswer,
  TriggerBody,
} from './execution-schemas.ts';
import { toBackupWish } from './to-backup-wish.ts';
import { fromStatus, viewExecution, viewLog, viewServices } from './view-execution.ts';

const tags = ['Appliance'];
const ROOT = '/api/admin/backup';
const config = { role: 'admin' } as const;
const ALL: BackupStatus[] = [
  ...(['in_progress', 'completed', 'partial', 'failed', 'cancelled'] as const),
  ...(['deleting', 'hidden', 'deleted'] as const),
];
const WARNINGS_SHOWN = 500;

/** Document 5's backups: begun by hand, and what became of all of them. */
export function tacacsExecutionRoutes(app: Api, deps: TacacsDeps): void {
  const { db } = deps;

  app.post(
    `${ROOT}/trigger`,
    {
      config: {
        ...config,
        audit: {
          action: 'backup.create',
          target: 'backup',
          shows: ['destination_id', 'copy_to', 'comment', 'components', 'project_id', 'server_id'],
        },
        idempotent: true,
        errors: [...BACKUP_ERRORS],
      },
      schema: {
        tags,
        summary: 'Start a backup by hand',
        body: TriggerBody,
        response: { 200: TriggerAnswer, 202: TriggerAnswer },
      },
    },
    async (request, reply) => {
      const wish = toBackupWish(request.body, deps.config);
      const { backupId, job } = await startBackup(deps, request, reply, wish);
      const backup = await find(backupId);
      return {
        success: true as const,
        data: { execution_id: backup.id, ...viewExecution(backup), warnings: backup.warnings },
        message: job?.endedAt ? `Backup ${backup.status}` : 'Backup started',
      };
    },
  );

  app.get(
    `${ROOT}/executions`,
    {
      config,
      schema: {
        tags,
        summary: 'List executions, newest first, those of deleted backups too',
        querystring: ListQuery,
        response: { 200: ListAnswer },
      },
    },
    async ({ query }) => {
      const { rows, pagination } = await list(query, query.status ? fromStatus(query.status) : ALL);
      return { success: true as const, data: { executions: rows, pagination } };
    },
  );

  app.get(
    `${ROOT}/executions/:id`,
    {
      config: { ...config, errors: ['NOT_FOUND'] },
      schema: {
        tags,
        summary: 'An execution with its services, steps and log',
        params: IdParams,
        response: { 200: GetAnswer },
      },
    },
    async (request) => {
      const backup = await find(request.params.id);
      const job = await db.jobs.get(backup.id);
      const shown = job && (await showJob(db, job));
      const warnings = await db.jobEvents.ofTypes(backup.id, ['warning'], WARNINGS_SHOWN);
      return {
        success: true as const,
        data: {
          ...viewExecution(backup),
          services: viewServices(backup),
          progress: shown?.progress ?? null,
          steps: shown?.steps ?? [],
          log: viewLog(backup, warnings),
          warnings: backup.warnings,
        },
      };
    },
  );

  app.get(
    `${ROOT}/list`,
    {
      config,
      schema: {
        tags,
        summary: 'List backups that can be restored, newest first',
        querystring: BackupsQuery,
        response: { 200: BackupsAnswer },
      },
    },
    async ({ query }) => {
      const { rows, pagination } = await list(query, ['completed', 'partial']);
      return { success: true as const, data: { backups: rows, pagination } };
    },
  );

  async function list(query: Static<typeof BackupsQuery>, statuses: BackupStatus[]) {
    const { page, per_page: perPage, destination_id: destinationId, project_id: projectId } = query;
    const { rows, total } = await db.backups.list({
      ...{ projectIds: projectId === undefined ? null : [projectId], statuses, page, perPage },
      ...(destinationId === undefined ? {} : { destinationId }),
    });
    const pagination = { page, per_page: perPage, total, total_pages: Math.ceil(total / perPage) };
    return { rows: rows.map(viewExecution), pagination };
  }

  async function find(id: string): Promise<FullBackup> {
    const backup = await db.backups.get(id);
    if (!backup) throw notFound('execution');
    return backup;
  }
}
