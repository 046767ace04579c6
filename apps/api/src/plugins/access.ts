import type { Database, ProjectScope } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { type Actor, lowerRole, type Role, reaches } from './actor.ts';

/** Who may see and do what; `docs/permissions.md` says why. */
export interface Access {
  /** The projects whose things the actor may see. */
  scope(actor: Actor): Promise<ProjectScope>;
  /** The actor's role inside a project; null when the project is not theirs to see. */
  roleIn(actor: Actor, projectId: number): Promise<Role | null>;
  /** Throws `missing` when the project is not visible, INSUFFICIENT_PERMISSIONS when the role does not reach. */
  require(actor: Actor, projectId: number, wanted: Role, missing: AppError): Promise<void>;
}

export function createAccess(db: Pick<Database, 'projects' | 'projectMembers'>): Access {
  const roleIn = async (actor: Actor, projectId: number): Promise<Role | null> => {
    if (actor.seesAll) return actor.role;
    const role = await db.projectMembers.roleOf(projectId, actor.userId);
    return role && lowerRole(role, actor.role);
  };
  return {
    scope: async (actor) =>
      actor.seesAll ? 'all' : db.projects.visibleProjectIds({ id: actor.userId, role: 'viewer' }),
    roleIn,
    async require(actor, projectId, wanted, missing) {
      const role = await roleIn(actor, projectId);
      if (!role) throw missing;
      if (!reaches(role, wanted)) throw forbidden(wanted);
    },
  };
}

export function forbidden(wanted: Role): AppError {
  return new AppError(
    'INSUFFICIENT_PERMISSIONS',
    `This needs the role ${wanted}; ask an administrator for it.`,
  );
}

export function notFound(what: string): AppError {
  return new AppError('NOT_FOUND', `There is no such ${what}, or it belongs to a project that is not yours.`);
}
