import type { FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { planBackup } from '../../planner/backup.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { notFound } from '../../plugins/access.ts';
import { actorOf, type Role } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { pageOf } from '../answers.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from '../backups/deps.ts';
import { normaliseProjectCreate } from '../backups/normalise.ts';
import { viewObject } from '../backups/view.ts';
import { ProjectParams } from '../shapes.ts';
import {
  ProjectBackupAnswer,
  ProjectBackupBody,
  ProjectBackupsPage,
  ProjectBackupsQuery,
} from './schemas.ts';

const BACKUPS = '/api/projects/:id/backups';
const tags = ['Projects'];

/** Document 3's way to backups: those of one project, for its members. */
export function projectBackupRoutes(app: Api, deps: RunDeps): void {
  const { db, access } = deps;
  const assertProject = async (request: FastifyRequest, id: number, wanted: Role): Promise<void> => {
    await access.require(actorOf(request), id, wanted, notFound('project'));
    if (!(await db.projects.get(id))) throw notFound('project');
  };

  app.get(
    BACKUPS,
    {
      config: { needs: 'viewer', errors: ['BACKUP_NOT_FOUND'] },
      schema: {
        tags,
        summary: 'List the backups of a project, newest first',
        params: ProjectParams,
        querystring: ProjectBackupsQuery,
        response: { 200: ProjectBackupsPage },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { page, per_page: perPage, after } = request.query;
      await assertProject(request, id, 'viewer');
      // One that was deleted since is still a place in the list.
      const mark = after === undefined ? undefined : await db.backups.find(after);
      if (mark === null || (mark && mark.projectId !== id)) {
        throw new AppError('BACKUP_NOT_FOUND', `There is no backup ${after} in this project.`);
      }
      const { rows, total } = await db.backups.list({
        ...{ projectIds: [id], page, perPage },
        ...(mark ? { after: mark } : {}),
      });
      return pageOf({ items: rows, total, page, perPage }, viewObject);
    },
  );

  app.post(
    BACKUPS,
    {
      config: {
        audit: {
          action: 'backup.create',
          target: 'backup',
          within: { target: 'project', param: 'id' },
          shows: ['name', 'type', 'copy_to'],
        },
        needs: 'operator',
        idempotent: true,
        errors: [
          'NOT_FOUND',
          'INSUFFICIENT_PERMISSIONS',
          'NOTHING_TO_BACK_UP',
          'CREDENTIALS_REQUIRED',
          'POOL_NOT_FOUND',
          'BACKUP_IN_PROGRESS',
          'RESTORE_IN_PROGRESS',
          'HOST_KEY_NOT_PINNED',
          'CONFLICT',
          'ENCRYPTION_KEY_NOT_FOUND',
        ],
      },
      schema: {
        tags,
        summary: 'Start a backup of a project',
        description:
          'A full one of all its services, to the default destination, encrypted and verified. It stays until somebody deletes it, unless the destination or a retention policy says otherwise. Answers 202 at once; with `Prefer: wait=N`, 200 when the backup has ended in time.',
        params: ProjectParams,
        body: ProjectBackupBody,
        response: { 200: ProjectBackupAnswer, 202: ProjectBackupAnswer },
      },
    },
    async (request, reply) => {
      const { id: projectId } = request.params;
      await assertProject(request, projectId, 'operator');
      if (request.body.copy_to?.length && actorOf(request).role !== 'admin') {
        throw new AppError('INSUFFICIENT_PERMISSIONS', 'Only an administrator says where copies go.');
      }
      const draft = await planBackup(deps, {
        ...normaliseProjectCreate(request.body),
        ...{ projectId, userId: actorOf(request).userId, scheduleId: null, requestId: request.id },
      });
      await submitFor(request, deps.dispatcher, draft);
      const backupId = draft.root.id;
      request.log.info({ backupId, services: draft.children.length }, 'backup accepted');

      const job = await waitAsPreferred(deps, request, backupId, preferredWait(request, reply));
      assertNotFailed(job, { backup_id: backupId });
      const backup = viewObject(await stored(deps, backupId));
      reply.code(job?.endedAt ? 200 : 202).header('location', `/api/jobs/${backupId}`);
      const message = job?.endedAt ? 'Backup completed successfully' : 'Backup creation started';
      return { success: true as const, data: backup, message, ...backup };
    },
  );
}

async function stored({ db }: Pick<RunDeps, 'db'>, id: string): Promise<FullBackup> {
  const backup = await db.backups.get(id);
  if (!backup) throw new Error('A backup that was accepted is not stored.');
  return backup;
}
