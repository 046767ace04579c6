import type { Database, ServerRecord } from '@tarfleet/db';
import { type Access, forbidden, notFound } from '../../plugins/access.ts';
import { type Actor, type Role, reaches } from '../../plugins/actor.ts';

/**
 * The server, when the actor may do `wanted` with it. What changes a local server, or what is done there, is for
 * admins: it is the worker's own host.
 */
export async function findServer(
  deps: { db: Pick<Database, 'servers'>; access: Access },
  actor: Actor,
  id: string,
  wanted: Role,
): Promise<ServerRecord> {
  const server = await deps.db.servers.get(id);
  if (!server) throw notFound('server');
  await deps.access.require(actor, server.projectId, wanted, notFound('server'));
  if (server.kind === 'local' && wanted !== 'viewer' && !reaches(actor.role, 'admin'))
    throw forbidden('admin');
  return server;
}
