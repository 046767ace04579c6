import type { FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { dispatchAfter } from '../../dispatch-after.ts';
import { planEmergency } from '../../planner/emergency.ts';
import { actorOf } from '../../plugins/actor.ts';
import { chooseComponents, meant } from '../../routes/backups/component-restore-target.ts';
import { missingFrom } from '../../routes/backups/missing-from.ts';
import { normaliseRestore } from '../../routes/backups/normalise.ts';
import { RESTORE_ERRORS } from '../../routes/backups/restore-errors.ts';
import { notRunning, startRestore } from '../../routes/backups/start-restore.ts';
import { ownNames } from '../pos/normalise.ts';
import type { TacacsDeps } from './deps.ts';
import { RestoreAnswer, RestoreBody } from './restore-schemas.ts';

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A restore that goes on although the backup before it has not completed. */
function wentOnWithout(made: Pick<FullBackup, 'status' | 'errorCode' | 'errorMessage'> | null): string[] {
  if (made?.status !== 'failed' && made?.status !== 'partial') return [];
  return [`The emergency backup is ${made.status} (${made.errorCode}): ${made.errorMessage}`];
}

/** Document 5's restore: after a backup of what it will replace. */
export function tacacsRestoreRoute(app: Api, deps: TacacsDeps): void {
  const { db } = deps;
  app.post(
    '/api/admin/backup/restore',
    {
      config: {
        role: 'admin',
        audit: {
          action: 'restore.start',
          target: 'job',
          shows: ['backup_path', 'destination_id', 'components', 'server_id', 'emergency_backup'],
        },
        rateLimit: 'restores',
        idempotent: true,
        errors: ['COMPONENT_NOT_FOUND', ...RESTORE_ERRORS],
      },
      schema: {
        tags: ['Appliance'],
        summary: 'Restore a backup, after an emergency backup of what it replaces',
        body: RestoreBody,
        response: { 200: RestoreAnswer, 202: RestoreAnswer },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const backup = await findByPath(body);
      const choice = {
        ...(body.components
          ? {
              components: ownNames(
                body.components,
                backup.artifacts.map(({ component }) => component),
              ),
            }
          : {}),
        ...(body.server_id === undefined ? {} : { server_id: body.server_id }),
      };
      const artifacts = chooseComponents(backup, choice);
      const before = await emergencyOf(request, body, backup, artifacts);
      const first = before?.draft ?? null;
      const dispatcher = first
        ? dispatchAfter(deps, first, { afterAnyEnd: body.emergency_backup === 'attempt' })
        : deps.dispatcher;
      const { warnings: _none, ...wish } = normaliseRestore({
        overwrite: true,
        database: { dropExisting: true },
      });
      const { id, ended, result } = await startRestore({ ...deps, dispatcher }, request, reply, {
        ...wish,
        services: Object.keys(choice).length === 0 ? null : artifacts.map(({ serviceId }) => serviceId),
        ...{ backup, destinationId: body.destination_id },
        ...{ userId: actorOf(request).userId, requestId: request.id },
        ...{ target: null, mayUseLocal: true },
      });
      const restore = await db.restores.get(id);
      const made = first && (await db.backups.find(first.root.id));
      return {
        success: true as const,
        data: {
          ...{ restore_id: id, backup_id: backup.id, backup_path: backup.keyPrefix },
          destination_id: body.destination_id,
          status: restore?.status ?? 'pending',
          current_step: restore?.currentStep ?? '',
          components: [...new Set(artifacts.map(({ component }) => component))].sort(),
          emergency_backup: made && {
            ...{ execution_id: made.id, backup_path: made.keyPrefix },
            status: made.status === 'in_progress' ? 'running' : made.status,
            locked_until: made.lockUntil?.toISOString() ?? null,
          },
          status_url: `/api/backups/restore-jobs/${id}`,
          warnings: [
            ...missingFrom({ artifacts: meant(backup, choice) }, null),
            ...(before?.warnings ?? []),
            ...wentOnWithout(made || null),
            ...notRunning(result?.notRunning ?? []),
          ],
        },
        message: ended
          ? 'Restore completed successfully'
          : first
            ? 'Emergency backup started; the restore follows once it has completed'
            : 'Restore started',
      };
    },
  );

  async function findByPath({ backup_path: path, destination_id: destinationId }: RestoreBody) {
    if (!(await db.destinations.get(destinationId))) {
      throw new AppError('NOT_FOUND', `There is no destination ${destinationId}.`);
    }
    const plain = path.replace(/\/(manifest\.json)?$/, '');
    const [id] = UUID.exec(plain) ?? [];
    const backup = id === undefined ? null : await db.backups.get(id);
    const gone = !backup || backup.status === 'deleted' || backup.status === 'hidden';
    const places = [backup?.destinationId, ...(backup?.copies ?? []).map((copy) => copy.destinationId)];
    if (gone || backup.keyPrefix !== plain || !places.includes(destinationId)) {
      throw new AppError(
        'BACKUP_NOT_FOUND',
        `No backup is known at ${plain} of this destination. GET /api/admin/backup/list shows those that there are.`,
      );
    }
    return backup;
  }

  async function emergencyOf(
    request: FastifyRequest,
    { emergency_backup: wish = 'required' }: RestoreBody,
    backup: FullBackup,
    artifacts: FullBackup['artifacts'],
  ) {
    if (wish === 'skip') return null;
    const { userId, email } = actorOf(request);
    return planEmergency(deps, {
      ...{ backup, artifacts, userId, userEmail: email, requestId: request.id, whole: wish === 'required' },
      encrypt: backup.encrypted || deps.config.BACKUP_ENCRYPTION,
      keepDays: deps.config.EMERGENCY_KEEP_DAYS,
    });
  }
}
