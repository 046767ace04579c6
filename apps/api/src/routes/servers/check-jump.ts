import type { Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { invalid } from '../../plugins/faults.ts';

/** A jump host is an ssh server of the same project and pool, reached without a jump of its own. */
export async function checkJump(
  db: Pick<Repositories, 'servers'>,
  server: { id: string | null; projectId: number; pool: string },
  jumpId: string,
): Promise<void> {
  const refuse = (message: string): AppError => invalid([{ path: 'body/jump', message }]);
  const jump = await db.servers.get(jumpId);
  if (!jump || jump.projectId !== server.projectId) throw refuse('is not a server of this project');
  if (jump.id === server.id) throw refuse('is the server itself');
  if (jump.kind !== 'ssh') throw refuse('is not an ssh server');
  if (jump.jumpId !== null) throw refuse('is itself reached through a jump host; only one is possible');
  if (jump.pool !== server.pool) {
    throw refuse(`is in the pool ${jump.pool}, whose workers alone can open its credentials; use that pool`);
  }
}

/** What others jump through must stay reachable directly, and in their pool. */
export async function checkUsedAsJump(
  db: Pick<Repositories, 'servers'>,
  server: { id: string },
  field: 'jump' | 'pool',
): Promise<void> {
  const users = await db.servers.jumpingThrough(server.id);
  if (users.length === 0) return;
  const names = users.map((user) => user.name).join(', ');
  throw new AppError(
    'CONFLICT',
    `Other servers are reached through this one (${names}), so its ${field} cannot change; give them another jump host first.`,
  );
}
