import type { Database } from '@tarfleet/db';
import { type Actor, lowerRole, type Role } from '../../plugins/actor.ts';

/** The projects a user was made a member of, with what this request may do in each. */
export async function memberships(
  db: Pick<Database, 'projects' | 'projectMembers'>,
  actor: Actor,
): Promise<{ id: number; name: string; role: Role }[]> {
  const ids = await db.projects.visibleProjectIds({ id: actor.userId, role: 'viewer' });
  const found = await Promise.all(
    (ids === 'all' ? [] : ids).map(async (id) => {
      const [project, role] = await Promise.all([
        db.projects.get(id),
        db.projectMembers.roleOf(id, actor.userId),
      ]);
      return project && role ? [{ id, name: project.name, role: lowerRole(role, actor.role) }] : [];
    }),
  );
  return found.flat();
}
