import type { FullBackup, JobRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import { assertFurther, switchedOff } from '../../planner/choose-destinations.ts';
import { assertRestorable, relock } from '../../planner/on-backup.ts';
import { type Actor, actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { startCopies } from '../../recorder/copies.ts';
import { one, strict, Uuid } from '../shapes.ts';
import { CopyView, viewCopy } from './copies-schemas.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';
import { findBackup } from './find.ts';
import { IdParams } from './schemas.ts';

const CopyBody = strict({
  destination_id: Type.String({ ...Uuid, description: 'Where to: a new copy, or one that has failed' }),
});
const CopyAnswer = one(strict({ backup_id: Uuid, backup_status: Type.String(), copy: CopyView }));

/** A further destination for a backup that is there already, and another try at a copy that has failed. */
export function copyRoutes(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/:id/copies',
    {
      config: {
        audit: { action: 'backup.copy', target: 'backup', param: 'id', shows: ['destination_id'] },
        needs: 'operator',
        errors: [
          ...(['BACKUP_NOT_FOUND', 'BACKUP_INCOMPLETE', 'NOT_FOUND', 'CONFLICT'] as const),
          ...(['INSUFFICIENT_PERMISSIONS', 'POOL_NOT_FOUND'] as const),
        ],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Copy a backup to a further destination, or try a failed copy again',
        description:
          'What the backup builds on is copied there first. A new destination needs an administrator. Answers 202 at once; with `Prefer: wait=N`, 200 when the copy has ended in time.',
        params: IdParams,
        body: CopyBody,
        response: { 200: CopyAnswer, 202: CopyAnswer },
      },
    },
    async (request, reply) => {
      const { id } = await findBackup(deps, request, request.params.id, 'operator');
      const { destination_id: destinationId } = request.body;
      await wantCopy(deps, actorOf(request), id, destinationId);
      await startCopies({ ...deps, logger: deps.cancel.logger });
      const jobId = copyAt(await stored(deps, id), destinationId).jobId;
      let job: JobRecord | null = null;
      if (jobId !== null) {
        reply.header('location', `/api/jobs/${jobId}`);
        job = await waitAsPreferred(deps, request, jobId, preferredWait(request, reply));
        assertNotFailed(job, { backup_id: id });
      }
      const backup = await stored(deps, id);
      const copy = copyAt(backup, destinationId);
      reply.code(copy.status === 'completed' ? 200 : 202);
      return {
        success: true as const,
        data: { backup_id: id, backup_status: backup.status, copy: viewCopy(copy, backup.keyPrefix) },
      };
    },
  );
}

async function wantCopy({ db }: RunDeps, actor: Actor, id: string, destinationId: string): Promise<void> {
  await db.transaction(async (tx) => {
    const backup = await relock(tx, id);
    assertRestorable(backup);
    const destination = await tx.destinations.get(destinationId);
    const before = backup.copies.find((copy) => copy.destinationId === destinationId);
    if (!before && actor.role !== 'admin') {
      throw new AppError(
        'INSUFFICIENT_PERMISSIONS',
        'Only an administrator may copy a backup to a destination that it does not name yet.',
      );
    }
    if (!destination) throw new AppError('NOT_FOUND', `There is no destination ${destinationId}.`);
    if (!destination.enabled) throw switchedOff(destination);
    const places = [backup.destination, ...backup.copies.map((copy) => copy.destination)];
    if (!before)
      assertFurther(
        destination,
        places.filter((place) => place !== null),
      );
    if (!(await tx.copies.want({ backupId: id, destinationId }))) {
      const how = before?.status === 'completed' ? 'complete' : 'under way';
      throw new AppError('CONFLICT', `The copy to ${destination.name} is ${how}.`, {
        details: { status: before?.status ?? null, job_id: before?.jobId ?? null },
      });
    }
    const concerned = await tx.copies.wantAncestors(id);
    await tx.copies.showIn([id, ...concerned]);
  });
}

async function stored({ db }: RunDeps, id: string): Promise<FullBackup> {
  const backup = await db.backups.get(id);
  if (!backup) throw new TypeError('a backup that was there is stored');
  return backup;
}

function copyAt(backup: FullBackup, destinationId: string): FullBackup['copies'][number] {
  const copy = backup.copies.find((one) => one.destinationId === destinationId);
  if (!copy) {
    throw new AppError('BACKUP_NOT_FOUND', 'The backup was deleted at this moment.');
  }
  return copy;
}
