import type { Database, Role } from '@tarfleet/db';
import { reaches } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';

/**
 * The role to give: the user's own where none is asked for. One above the user's own would never take effect, so
 * it is refused instead of being stored as if it did.
 */
export async function allowedRole(
  db: Pick<Database, 'users'>,
  userId: string,
  wanted: Role | undefined,
): Promise<Role> {
  const user = await db.users.get(userId);
  if (!user) throw invalid([{ path: 'body/user_id', message: 'is not a user; see GET /api/users' }]);
  if (wanted !== undefined && !reaches(user.role, wanted)) {
    throw invalid([
      { path: 'body/role', message: `is above the user’s own role, ${user.role}; raise that one first` },
    ]);
  }
  return wanted ?? user.role;
}
