import type { Database, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import type { Access } from '../../plugins/access.ts';
import { actorOf, type Role } from '../../plugins/actor.ts';

/** The backup that a route is about, when the actor may see it and do what they want with it. */
export async function findBackup(
  deps: { db: Pick<Database, 'backups'>; access: Access },
  request: FastifyRequest,
  id: string,
  wanted: Role,
): Promise<FullBackup> {
  const missing = new AppError(
    'BACKUP_NOT_FOUND',
    `There is no backup ${id}, or it belongs to a project that is not yours.`,
  );
  const backup = await deps.db.backups.get(id);
  if (!backup || backup.status === 'deleted' || backup.status === 'hidden') throw missing;
  await deps.access.require(actorOf(request), backup.projectId, wanted, missing);
  return backup;
}
