import type { Database, ProjectScope } from '@tarfleet/db';
import type { Actor } from '../../plugins/actor.ts';

/** The projects in which the actor is at least operator. Routes that use it need that role of the user, too. */
export async function operatedScope(
  db: Pick<Database, 'projectMembers'>,
  { userId, seesAll }: Actor,
): Promise<ProjectScope> {
  return seesAll ? 'all' : db.projectMembers.projectsOf(userId, ['operator', 'admin']);
}
