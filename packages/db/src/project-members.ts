import type { Db } from './prisma-client.ts';
import type { Role } from './users.ts';

export interface MemberRecord {
  projectId: number;
  userId: string;
  email: string;
  role: Role;
  createdAt: Date;
}

/** Who belongs to a project, and as what. */
export interface ProjectMembers {
  /** All of a project, newest first. */
  list(projectId: number): Promise<MemberRecord[]>;
  get(projectId: number, userId: string): Promise<MemberRecord | null>;
  /** The role within the project; null when the user is no member. */
  roleOf(projectId: number, userId: string): Promise<Role | null>;
  /** The projects in which the user has one of these roles. */
  projectsOf(userId: string, roles: readonly Role[]): Promise<number[]>;
  /** CONFLICT when the user is a member already, or user or project does not exist. */
  add(member: { projectId: number; userId: string; role: Role }): Promise<MemberRecord>;
  /** Null when the user is no member. */
  update(projectId: number, userId: string, changes: { role?: Role }): Promise<MemberRecord | null>;
  remove(projectId: number, userId: string): Promise<boolean>;
}

export function createProjectMembers(db: Db): ProjectMembers {
  const include = { user: { select: { email: true } } };
  const get = async (projectId: number, userId: string): Promise<MemberRecord | null> => {
    const where = { projectId_userId: { projectId, userId } };
    const row = await db.projectMember.findUnique({ where, include });
    return row && toMember(row);
  };
  return {
    async list(projectId) {
      const rows = await db.projectMember.findMany({
        where: { projectId },
        include,
        orderBy: [{ createdAt: 'desc' }, { userId: 'desc' }],
      });
      return rows.map(toMember);
    },
    get,
    async roleOf(projectId, userId) {
      const where = { projectId_userId: { projectId, userId } };
      const row = await db.projectMember.findUnique({ where, select: { role: true } });
      return row && (row.role as Role);
    },
    async projectsOf(userId, roles) {
      const rows = await db.projectMember.findMany({
        where: { userId, role: { in: [...roles] } },
        select: { projectId: true },
      });
      return rows.map(({ projectId }) => projectId);
    },
    add: async (member) => toMember(await db.projectMember.create({ data: member, include })),
    async update(projectId, userId, changes) {
      await db.projectMember.updateMany({ where: { projectId, userId }, data: changes });
      return get(projectId, userId);
    },
    async remove(projectId, userId) {
      return (await db.projectMember.deleteMany({ where: { projectId, userId } })).count > 0;
    },
  };
}

function toMember(row: {
  projectId: number;
  userId: string;
  role: string;
  createdAt: Date;
  user: { email: string };
}): MemberRecord {
  return {
    projectId: row.projectId,
    userId: row.userId,
    email: row.user.email,
    role: row.role as Role,
    createdAt: row.createdAt,
  };
}
