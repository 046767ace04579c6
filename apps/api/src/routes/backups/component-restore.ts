import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { readNotification } from '../../notifier/notification.ts';
import type { RestoreSubject } from '../../planner/resolve-restore.ts';
import type { RestoreRequest } from '../../planner/restore.ts';
import { actorOf } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { ComponentRestoreAnswer, ComponentRestoreBody } from './component-restore-schemas.ts';
import { chooseComponents, findByEnvironment, meant } from './component-restore-target.ts';
import type { RunDeps } from './deps.ts';
import { findBackup } from './find.ts';
import { lookAtRestore } from './look-at-restore.ts';
import { missingFrom } from './missing-from.ts';
import { normaliseComponentRestore } from './normalise.ts';
import { RESTORE_ERRORS } from './restore-errors.ts';
import { notRunning, startRestore } from './start-restore.ts';
import { validationMessage } from './validate-restore.ts';
import { estimateRestore } from './view-preview.ts';

/** Document 2's restore: of components, to the server with a label. */
export function componentRestoreRoute(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/restore',
    {
      config: {
        audit: {
          action: 'restore.start',
          target: 'job',
          shows: ['backup_id', 'components', 'server_id', 'target_environment', 'restore_options', 'dry_run'],
        },
        role: 'admin',
        rateLimit: 'restores',
        rateLimitOf: (body) => (isDryRun(body) ? 'verify' : 'restores'),
        idempotent: true,
        errors: ['COMPONENT_NOT_FOUND', ...RESTORE_ERRORS],
      },
      schema: {
        tags: ['Restores'],
        summary: 'Put components of a backup back',
        body: ComponentRestoreBody,
        response: { 200: ComponentRestoreAnswer, 202: ComponentRestoreAnswer },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const backup = await findBackup(deps, request, body.backup_id, 'admin');
      const artifacts = chooseComponents(backup, body);
      const { warnings: asked, ...wanted } = normaliseComponentRestore(body);
      const isWhole = body.components === undefined && body.server_id === undefined;
      const target = await findByEnvironment(deps.db, backup, artifacts, body.target_environment);
      const subject = {
        ...{
          ...wanted,
          pathForFiles: true,
          backup,
          target,
          services: isWhole ? null : artifacts.map(({ serviceId }) => serviceId),
        },
        destinationId: body.destination_id ?? null,
        ...{ userId: actorOf(request).userId, requestId: request.id, mayUseLocal: true },
      };
      const notification = await readNotification(deps.notifications, body.notification);
      if (notification && body.dry_run) {
        throw invalid([{ path: 'body/notification', message: 'does not go with dry_run' }]);
      }
      const warnings = [...missingFrom({ artifacts: meant(backup, body) }, null), ...asked];
      // Before it begins: what it took itself is no estimate of it.
      const estimated_duration_seconds = await estimateRestore(deps.db, backup, artifacts);
      const { message, ...data } = body.dry_run
        ? await lookAlone(deps, request, reply, subject, warnings)
        : await restore(deps, request, reply, { ...subject, notification }, warnings);
      return {
        success: true as const,
        data: { backup_id: backup.id, estimated_duration_seconds, ...data },
        message,
      };
    },
  );
}

type Outcome = Omit<ComponentRestoreAnswer['data'], 'backup_id' | 'estimated_duration_seconds'> & {
  message: string;
};

async function restore(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  subject: Omit<RestoreRequest, 'keepHours'>,
  warnings: readonly string[],
): Promise<Outcome> {
  const { id, job, ended, result } = await startRestore(deps, request, reply, subject);
  return {
    restore_id: id,
    status: ended ? 'completed' : 'in_progress',
    started_at: (job?.startedAt ?? new Date()).toISOString(),
    progress_url: `/api/backups/restore/status/${id}`,
    warnings: [...warnings, ...notRunning(result?.notRunning ?? [])],
    message: ended ? 'Restore completed successfully' : 'Restore initiated successfully',
  };
}

async function lookAlone(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  subject: RestoreSubject,
  warnings: readonly string[],
): Promise<Outcome> {
  const { jobId, result, data } = await lookAtRestore(deps, request, subject, {
    ...{ waitSeconds: preferredWait(request, reply), orNever: false, warnings },
  });
  const [problem] = result?.problems ?? [];
  reply.code(result ? 200 : 202).header('location', `/api/jobs/${jobId}`);
  return {
    restore_id: jobId,
    status: !result ? 'in_progress' : problem ? 'invalid' : 'validated',
    started_at: new Date().toISOString(),
    progress_url: `/api/jobs/${jobId}`,
    warnings: result ? data.warnings : [...warnings],
    ...(result ? { preview: data } : {}),
    message: validationMessage(result !== null, problem?.failure.message),
  };
}

function isDryRun(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'dry_run' in body && body.dry_run === true;
}
