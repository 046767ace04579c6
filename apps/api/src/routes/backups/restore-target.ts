import type { Database, FullBackup, ServerRecord } from '@tarfleet/db';
import type { FastifyRequest } from 'fastify';
import { rowsServerOf } from '../../planner/rows-server.ts';
import { type Access, notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import type { RestoreBody } from './restore-schemas.ts';

/**
 * The other server that a restore is for, when the actor may change it; null when it is for the one that was backed
 * up. NOT_FOUND for a server that they do not see, VALIDATION_FAILED when server and project do not go together.
 */
export async function findRestoreTarget(
  { db, access }: { db: Pick<Database, 'servers' | 'services'>; access: Access },
  request: FastifyRequest,
  backup: Pick<FullBackup, 'projectId' | 'artifacts'>,
  { target_server_id: serverId, target_project_id: projectId }: RestoreBody,
): Promise<ServerRecord | null> {
  if (serverId === undefined) {
    if (projectId === undefined || projectId === backup.projectId) return null;
    await access.require(actorOf(request), projectId, 'operator', notFound('project'));
    const found = await rowsServerOf(db, projectId, backup);
    if (found) return found;
    throw invalid([
      {
        path: 'body/target_server_id',
        message: `is required: name the server of project ${projectId} to restore to`,
      },
    ]);
  }
  const server = await db.servers.get(serverId);
  if (!server) throw notFound('server');
  await access.require(actorOf(request), server.projectId, 'operator', notFound('server'));
  if (projectId !== undefined && projectId !== server.projectId) {
    throw invalid([{ path: 'body/target_server_id', message: `is not a server of project ${projectId}` }]);
  }
  return server;
}
