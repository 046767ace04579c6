import type { ArtifactRecord, FullBackup, ListedRestore } from '@tarfleet/db';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { planVerify } from '../../planner/verify.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { actorOf } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { chooseComponents, meant } from '../../routes/backups/component-restore-target.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from '../../routes/backups/deps.ts';
import { findBackup } from '../../routes/backups/find.ts';
import { iso } from '../../routes/backups/formats.ts';
import { missingFrom } from '../../routes/backups/missing-from.ts';
import { RESTORE_ERRORS } from '../../routes/backups/restore-errors.ts';
import { notRunning, startRestore } from '../../routes/backups/start-restore.ts';
import { wantsLookAlone } from '../../routes/backups/validate-restore.ts';
import { normaliseOverwrite, ownNames } from './normalise.ts';
import {
  CreateRestoreAnswer,
  ListRestoresAnswer,
  ListRestoresQuery,
  RestoreBody,
} from './restore-schemas.ts';
import { nameOf, paginationOf } from './view-backup.ts';

type Answer = { message: string; issues: string[]; warnings: string[] };

/** Document 4's restores, and its validations, which stand among them. */
export function posRestoreRoutes(app: Api, deps: RunDeps): void {
  const { db } = deps;

  app.post(
    '/api/restore/create',
    {
      config: {
        audit: {
          action: 'restore.start',
          target: 'job',
          shows: ['backupId', 'components', 'overwrite', 'validateOnly', 'server_id'],
        },
        role: 'admin',
        rateLimit: 'restores',
        rateLimitOf: (body) => (wantsLookAlone(body) ? 'verify' : 'restores'),
        idempotent: true,
        errors: ['COMPONENT_NOT_FOUND', ...RESTORE_ERRORS],
      },
      schema: {
        tags: ['Point of sale'],
        summary: 'Restore a backup, or only validate it',
        body: RestoreBody,
        response: { 200: CreateRestoreAnswer, 202: CreateRestoreAnswer },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const backup = await findBackup(deps, request, body.backupId, 'admin');
      const known = backup.artifacts.map(({ component }) => component);
      const choice = {
        ...(body.components ? { components: ownNames(body.components, known) } : {}),
        ...(body.server_id === undefined ? {} : { server_id: body.server_id }),
      };
      const start = body.validateOnly ? validate : restore;
      const { id, ...answer } = await start(deps, request, reply, { backup, choice, body });
      const listed = await db.restoreList.get(id);
      if (!listed) throw new TypeError('what was stored is in the list');
      const { issues, warnings, message } = answer;
      return { success: true as const, message, restore: { ...viewRestore(listed), issues, warnings } };
    },
  );

  app.get(
    '/api/restore/list',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['Point of sale'],
        summary: 'List restores and validations, newest first, with a summary of all',
        querystring: ListRestoresQuery,
        response: { 200: ListRestoresAnswer },
      },
    },
    async (request) => {
      const { page, limit, status, project_id: projectId } = request.query;
      const projectIds = projectId === undefined ? null : [projectId];
      const { rows, total } = await db.restoreList.list({
        ...{ projectIds, page, perPage: limit },
        ...(status === undefined ? {} : { state: status }),
      });
      return {
        success: true as const,
        restores: rows.map((row) => ({
          ...viewRestore(row),
          validateOnly: row.validateOnly,
          completedAt: iso(row.completedAt),
          error: row.error,
        })),
        pagination: paginationOf({ page, limit }, total),
        summary: await db.restoreList.summary(projectIds),
      };
    },
  );
}

interface Wanted {
  backup: FullBackup;
  choice: { components?: string[]; server_id?: string };
  body: RestoreBody;
}

async function restore(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { backup, choice, body }: Wanted,
): Promise<Answer & { id: string }> {
  const artifacts = chooseComponents(backup, choice);
  const { warnings: asked, ...wish } = normaliseOverwrite(body);
  const services = Object.keys(choice).length === 0 ? null : idsOf(artifacts);
  const { userId } = actorOf(request);
  const { id, ended, result } = await startRestore(deps, request, reply, {
    ...{ ...wish, backup, services, userId, requestId: request.id, target: null, mayUseLocal: true },
  });
  const missing = missingFrom({ artifacts: meant(backup, choice) }, null);
  return {
    id,
    message: ended ? 'Restore completed successfully' : 'Restore process started',
    issues: [],
    warnings: [...missing, ...asked, ...notRunning(result?.notRunning ?? [])],
  };
}

/** A verification as close as a restore's own reading. */
async function validate(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { backup, choice }: Wanted,
): Promise<Answer & { id: string }> {
  if (choice.server_id !== undefined) {
    throw invalid([{ path: 'body/server_id', message: 'does not go with validateOnly' }]);
  }
  const draft = await planVerify(deps, {
    ...{ backup, userId: actorOf(request).userId, requestId: request.id, level: 'deep' },
    components: choice.components ?? null,
  });
  const components = choice.components ?? backup.artifacts.filter(isHeld).map(({ component }) => component);
  await submitFor(request, deps.dispatcher, {
    ...draft,
    async record(tx) {
      await draft.record(tx);
      await tx.restoreList.addValidation(draft.root.id, [...new Set(components)].sort());
    },
  });
  const { id } = draft.root;
  const job = await waitAsPreferred(deps, request, id, preferredWait(request, reply));
  assertNotFailed(job);
  const result = job?.result?.kind === 'verify' ? job.result : null;
  reply.code(result ? 200 : 202).header('location', `/api/jobs/${id}`);
  return {
    id,
    message: !result
      ? 'Backup validation started'
      : result.valid
        ? 'Backup validated successfully, nothing was restored'
        : 'Backup validation failed: it cannot be restored as it is',
    issues: result?.issues ?? [],
    warnings: missingFrom({ artifacts: meant(backup, choice) }, null),
  };
}

function idsOf(artifacts: ArtifactRecord[]): string[] {
  return artifacts.map(({ serviceId }) => serviceId);
}

function isHeld({ status }: ArtifactRecord): boolean {
  return status === 'completed';
}

function viewRestore(restore: ListedRestore) {
  const running = restore.validateOnly ? ('validating' as const) : ('restoring' as const);
  return {
    id: restore.id,
    backupId: restore.backupId,
    backupName: nameOf({
      ...{ id: restore.backupId, name: restore.backupName, createdAt: restore.backupCreatedAt },
    }),
    status: restore.state === 'running' ? running : restore.state,
    validated: restore.validated,
    components: restore.components,
    startedAt: (restore.startedAt ?? restore.createdAt).toISOString(),
  };
}
