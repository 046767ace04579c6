import type { Api } from '../../api-type.ts';
import { invalid } from '../../plugins/faults.ts';
import type { RunDeps } from '../../routes/backups/deps.ts';
import { findBackup } from '../../routes/backups/find.ts';
import { iso } from '../../routes/backups/formats.ts';
import { DELETE_ERRORS, removeBackup } from '../../routes/backups/remove-backup.ts';
import { DeleteQuery, IdParams } from '../../routes/backups/schemas.ts';
import { BACKUP_ERRORS, startBackup } from '../../routes/backups/start-backup.ts';
import {
  CreateAnswer,
  CreateBody,
  DeleteAnswer,
  GetAnswer,
  ListAnswer,
  ListQuery,
} from './backup-schemas.ts';
import { normaliseCreate } from './normalise.ts';
import { nameOf, paginationOf, toStatus, viewBackup, viewDetails, viewListed } from './view-backup.ts';

/** Document 4's backups. */
export function posBackupRoutes(app: Api, deps: RunDeps): void {
  const { db } = deps;

  app.post(
    '/api/backup/create',
    {
      config: {
        audit: {
          action: 'backup.create',
          target: 'backup',
          shows: ['type', 'components', 'project_id', 'server_id'],
        },
        role: 'admin',
        idempotent: true,
        errors: [...BACKUP_ERRORS],
      },
      schema: {
        tags: ['Point of sale'],
        summary: 'Start a full or partial backup',
        body: CreateBody,
        response: { 200: CreateAnswer, 202: CreateAnswer },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const projectId = body.project_id ?? (await db.projects.ensureDefault()).id;
      const there = await db.services.ofProject(projectId);
      const known = there.map(({ service }) => service.component);
      const wish = normaliseCreate(body, known);
      const { backupId, backup, job } = await startBackup(deps, request, reply, wish);
      const fresh = { id: backupId, name: wish.name, createdAt: new Date() };
      return {
        success: true as const,
        message: messageOf(job?.endedAt ? (backup?.status ?? null) : null),
        backup: {
          ...(backup
            ? viewBackup(backup)
            : {
                ...{ id: backupId, name: nameOf(fresh), type: body.type, size: 0, checksum: null },
                ...{ encrypted: wish.encrypt, status: 'running' as const },
                createdAt: fresh.createdAt.toISOString(),
              }),
          components: new Set(backup?.artifacts.map(({ component }) => component)).size,
          warnings: backup?.warnings ?? wish.warnings,
        },
      };
    },
  );

  app.get(
    '/api/backup/list',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['Point of sale'],
        summary: 'List backups, newest first, with a summary of all',
        querystring: ListQuery,
        response: { 200: ListAnswer },
      },
    },
    async (request) => {
      const { page, limit, status, type, project_id: projectId } = request.query;
      const projectIds = projectId === undefined ? null : [projectId];
      const { rows, total } = await db.backups.list({
        ...{ projectIds, page, perPage: limit },
        ...(status === undefined ? {} : { statuses: [toStatus(status)] }),
        ...(type === undefined ? {} : type === 'partial' ? { chosen: true } : { chosen: false, type }),
      });
      const { oldest, newest, ...counts } = await db.backups.summary(projectIds);
      return {
        success: true as const,
        backups: rows.map(viewListed),
        pagination: paginationOf({ page, limit }, total),
        summary: { ...counts, oldest: iso(oldest), newest: iso(newest) },
      };
    },
  );

  app.get(
    '/api/backup/:id',
    {
      config: { role: 'admin', errors: ['BACKUP_NOT_FOUND'] },
      schema: {
        tags: ['Point of sale'],
        summary: 'Show a backup',
        params: IdParams,
        response: { 200: GetAnswer },
      },
    },
    async (request) => ({
      success: true as const,
      backup: viewDetails(await findBackup(deps, request, request.params.id, 'admin')),
    }),
  );

  app.delete(
    '/api/backup/:id',
    {
      config: {
        audit: { action: 'backup.delete', target: 'backup', param: 'id', shows: ['force', 'reason'] },
        role: 'admin',
        errors: [...DELETE_ERRORS],
      },
      schema: {
        tags: ['Point of sale'],
        summary: 'Delete a backup and its stored objects',
        description:
          'The retentionDays of a backup that was made by /api/backup/create say when it goes by itself: they do not hold this up. Policies, locks and the days of other backups do.',
        params: IdParams,
        querystring: DeleteQuery,
        response: { 200: DeleteAnswer, 202: DeleteAnswer },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.id, 'admin');
      const { force = false, reason } = request.query;
      if (force && reason === undefined) {
        throw invalid([{ path: 'query/reason', message: 'is required when force is true' }]);
      }
      const leave = { by: 'user', force, despiteDays: backup.dialect === 'pos' } as const;
      const { message, deletedAt, freed, jobId } = await removeBackup(deps, request, reply, backup, leave);
      return {
        success: true as const,
        message,
        backup: { id: backup.id, deletedAt: iso(deletedAt), freed, jobId },
      };
    },
  );
}

function messageOf(status: string | null): string {
  if (status === null) return 'Backup started';
  return status === 'partial'
    ? 'Backup created, but some services failed: see its details'
    : 'Backup created successfully';
}
