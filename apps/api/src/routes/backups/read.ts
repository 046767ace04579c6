import type { Database, FullBackup } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { progressOf } from '../jobs/progress.ts';
import type { RunDeps } from './deps.ts';
import { estimateBackup } from './estimate-backup.ts';
import { findBackup } from './find.ts';
import { assertType, normaliseDates } from './normalise.ts';
import { GetAnswer, IdParams, ListAnswer, ListQuery, StatusAnswer, StatusParams } from './schemas.ts';
import { viewStatus } from './status.ts';
import { type FileWarning, viewDetails, viewListItem, viewObject } from './view.ts';

const WARNINGS_SHOWN = 1000;

/** What there is: documents 2 and 3's list, details and status. */
export function readBackupRoutes(app: Api, deps: RunDeps): void {
  const { db } = deps;

  app.get(
    '/api/backups/list',
    {
      config: { role: 'admin', errors: ['INVALID_BACKUP_TYPE'] },
      schema: {
        tags: ['Backups'],
        summary: 'List backups, newest first',
        querystring: ListQuery,
        response: { 200: ListAnswer },
      },
    },
    async (request) => {
      const { page, per_page: perPage, type, status, project_id: projectId } = request.query;
      if (type !== undefined) assertType(type);
      const { rows, total } = await db.backups.list({
        projectIds: projectId === undefined ? null : [projectId],
        ...(type === undefined ? {} : { type }),
        ...(status === undefined ? {} : { statuses: [status] }),
        ...normaliseDates(request.query),
        page,
        perPage,
      });
      return {
        success: true as const,
        data: {
          backups: rows.map(viewListItem),
          total,
          page,
          per_page: perPage,
          total_pages: Math.ceil(total / perPage),
        },
      };
    },
  );

  app.get(
    '/api/backups/:id',
    {
      config: { needs: 'viewer', errors: ['BACKUP_NOT_FOUND'] },
      schema: {
        tags: ['Backups'],
        summary: 'Show a backup',
        params: IdParams,
        response: { 200: GetAnswer },
      },
    },
    async (request) => {
      const backup = await findBackup(deps, request, request.params.id, 'viewer');
      const warnings = await readWarnings(db, backup);
      return { success: true as const, data: viewDetails(backup, warnings), ...viewObject(backup) };
    },
  );

  app.get(
    '/api/backups/status/:backup_id',
    {
      config: { role: 'admin', rateLimit: 'status', errors: ['BACKUP_NOT_FOUND'] },
      schema: {
        tags: ['Backups'],
        summary: 'Show how far a backup is',
        params: StatusParams,
        response: { 200: StatusAnswer },
      },
    },
    async (request) => {
      const backup = await findBackup(deps, request, request.params.backup_id, 'viewer');
      const job = await db.jobs.get(backup.id);
      const artifacts = await db.jobs.children(backup.id);
      const progress = job && progressOf(job, artifacts);
      // Asked for only where nothing better tells.
      const unknown = backup.completedAt === null && (progress?.seconds_left ?? null) === null;
      const pastSeconds = unknown ? (await estimateBackup(db, backup)).seconds : null;
      return {
        success: true as const,
        data: viewStatus(backup, { job, artifacts, progress, pastSeconds }),
      };
    },
  );
}

async function readWarnings(db: Pick<Database, 'jobEvents'>, backup: FullBackup): Promise<FileWarning[]> {
  const stored = await db.jobEvents.ofTypes(backup.id, ['warning'], WARNINGS_SHOWN);
  return stored.flatMap(({ jobId, event }) => {
    if (event.type !== 'warning') return [];
    const { code, message, path, pathBase64 } = event;
    const service = backup.artifacts.find((artifact) => artifact.id === jobId)?.serviceName ?? null;
    return [{ service, code, message, path: path ?? null, path_base64: pathBase64 ?? null }];
  });
}
