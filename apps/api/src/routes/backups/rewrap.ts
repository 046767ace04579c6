import { KeyName } from '@tarfleet/contracts';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import { planRewrap } from '../../planner/rewrap.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { IdParams, nullable, one, ProjectId, strict, Uuid } from '../shapes.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';
import { findBackup } from './find.ts';
import { startRewraps } from './start-rewraps.ts';

const Count = Type.Integer({ minimum: 0 });

const RewrapBody = Type.Unsafe<{ key_name?: string } | null>({
  type: ['object', 'null'],
  properties: { key_name: KeyName },
  additionalProperties: false,
});
const RewrapAnswer = one(
  strict({
    backup_id: Uuid,
    job_id: Uuid,
    key_name: Type.String(),
    archives: nullable(Count),
    changed: nullable(Count),
  }),
);

const RewrapAllBody = Type.Unsafe<{ key_name?: string; project_id?: number } | null>({
  type: ['object', 'null'],
  properties: { key_name: KeyName, project_id: ProjectId },
  additionalProperties: false,
});
const RewrapAllAnswer = one(
  strict({
    started: Count,
    running: Count,
    remaining: Count,
    key_names: Type.Array(Type.String()),
    jobs: Type.Array(strict({ backup_id: Uuid, job_id: Uuid })),
    refused: Type.Array(strict({ backup_id: Uuid, code: Type.String(), message: Type.String() })),
  }),
);

/** A change of the keyring's keys, for one backup or for all. */
export function rewrapRoutes(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/:id/rewrap',
    {
      config: {
        audit: { action: 'backup.rewrap', target: 'backup', param: 'id', shows: ['key_name'] },
        role: 'admin',
        idempotent: true,
        errors: [
          'BACKUP_NOT_FOUND',
          'BACKUP_INCOMPLETE',
          'CONFLICT',
          'ENCRYPTION_KEY_NOT_FOUND',
          'POOL_NOT_FOUND',
        ],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Wrap the keys of a backup’s archives with another key of the keyring, as a job',
        description:
          'With `key_name`, or the primary key of its pool’s workers. The archives stay as they are.',
        params: IdParams,
        body: RewrapBody,
        response: { 200: RewrapAnswer, 202: RewrapAnswer },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.id, 'admin');
      const { keyName, draft } = await planRewrap(deps, {
        backup,
        userId: actorOf(request).userId,
        requestId: request.id,
        keyName: request.body?.key_name ?? null,
      });
      await submitFor(request, deps.dispatcher, draft);
      const wait = preferredWait(request, reply);
      const job = await waitAsPreferred(deps, request, draft.root.id, wait);
      assertNotFailed(job, { backup_id: backup.id });
      const result = job?.result?.kind === 'rewrap' ? job.result : null;
      reply.code(result ? 200 : 202).header('location', `/api/jobs/${draft.root.id}`);
      return {
        success: true as const,
        data: {
          backup_id: backup.id,
          job_id: draft.root.id,
          key_name: keyName,
          archives: result?.archives ?? null,
          changed: result?.changed ?? null,
        },
      };
    },
  );

  app.post(
    '/api/backups/rewrap',
    {
      config: {
        audit: { action: 'backup.rewrap_all', target: 'backup', shows: ['key_name', 'project_id'] },
        role: 'admin',
        idempotent: true,
        errors: ['NOT_FOUND', 'ENCRYPTION_KEY_NOT_FOUND'],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Wrap the keys of all encrypted backups with another key of the keyring, as jobs',
        description:
          'Starts at most 100 jobs, oldest backups first. Send it again until `running` and `remaining` are 0: before that, no old key may leave the keyring. A backup whose job failed counts as remaining.',
        body: RewrapAllBody,
        response: { 202: RewrapAllAnswer },
      },
    },
    async (request, reply) => {
      const { project_id: projectId = null, key_name: keyName = null } = request.body ?? {};
      if (projectId !== null && !(await deps.db.projects.get(projectId))) throw notFound('project');
      const { userId } = actorOf(request);
      const done = await startRewraps(
        { ...deps, logger: request.log },
        { projectId, keyName, userId, requestId: request.id },
      );
      const { jobs, running, remaining, keyNames, refused } = done;
      const counts = { started: jobs.length, running, remaining };
      request.log.info(counts, 'change of keys accepted');
      reply.code(202);
      return {
        success: true as const,
        data: { ...counts, key_names: keyNames, jobs, refused },
      };
    },
  );
}
