import type { RetentionPolicy } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Project } from './generated/client.ts';
import { type Page, type PageRequest, type ProjectScope, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';
import { inTransaction } from './transaction.ts';
import type { Role } from './users.ts';

/** What requests that name no project act on. */
const DEFAULT_PROJECT = 'default';

export interface ProjectRecord {
  id: number;
  name: string;
  /** What is kept of its backups; null: what they say themselves. */
  retention: RetentionPolicy | null;
  createdAt: Date;
}

export interface Projects {
  /** The `default` project, made if it is missing. */
  ensureDefault(): Promise<ProjectRecord>;
  /** Null before `ensureDefault` has run once. */
  getDefault(): Promise<ProjectRecord | null>;
  /** Those of the scope, newest first. */
  list(request: PageRequest & { scope: ProjectScope }): Promise<Page<ProjectRecord>>;
  get(id: number): Promise<ProjectRecord | null>;
  /** CONFLICT when the name is taken. */
  create(project: { name: string }): Promise<ProjectRecord>;
  /** Null when there is no such project. CONFLICT when the name is taken, or the project is the default one. */
  update(id: number, changes: { name?: string }): Promise<ProjectRecord | null>;
  /** Takes members, ended jobs and the records of deleted backups along. CONFLICT while there is more, and for the default project. */
  delete(id: number): Promise<boolean>;
  /** Everything for admins, their memberships for others. */
  visibleProjectIds(user: { id: string; role: Role }): Promise<ProjectScope>;
}

export function createProjects(db: Db): Projects {
  return {
    async ensureDefault() {
      const found = await db.project.findUnique({ where: { name: DEFAULT_PROJECT } });
      if (found) return toProject(found);
      await db.$executeRaw`INSERT INTO projects (name) VALUES (${DEFAULT_PROJECT}) ON CONFLICT (name) DO NOTHING`;
      return toProject(await db.project.findUniqueOrThrow({ where: { name: DEFAULT_PROJECT } }));
    },
    async getDefault() {
      const row = await db.project.findUnique({ where: { name: DEFAULT_PROJECT } });
      return row && toProject(row);
    },
    list(request) {
      const where = request.scope === 'all' ? {} : { id: { in: [...request.scope] } };
      return readPage(
        request,
        (range) => db.project.findMany({ ...range, where, orderBy: { id: 'desc' } }),
        () => db.project.count({ where }),
        toProject,
      );
    },
    async get(id) {
      const row = await db.project.findUnique({ where: { id } });
      return row && toProject(row);
    },
    create: async ({ name }) => toProject(await db.project.create({ data: { name } })),
    update: (id, changes) =>
      inTransaction(db, async (tx) => {
        const project = await tx.project.findUnique({ where: { id } });
        if (
          project?.name === DEFAULT_PROJECT &&
          changes.name !== undefined &&
          changes.name !== project.name
        ) {
          throw new AppError('CONFLICT', 'The default project keeps its name.');
        }
        const rows = await tx.project.updateManyAndReturn({ where: { id }, data: changes });
        return rows[0] ? toProject(rows[0]) : null;
      }),
    delete: (id) => inTransaction(db, (tx) => remove(tx, id)),
    async visibleProjectIds(user) {
      if (user.role === 'admin') return 'all';
      const rows = await db.projectMember.findMany({
        where: { userId: user.id },
        select: { projectId: true },
      });
      return rows.map((row) => row.projectId);
    },
  };
}

/** The row's lock keeps others from adding servers, backups or jobs meanwhile; their foreign keys ask for it. */
async function remove(tx: Db, id: number): Promise<boolean> {
  const locked = await tx.$queryRaw<
    { name: string }[]
  >`SELECT name FROM projects WHERE id = ${id} FOR UPDATE`;
  if (!locked[0]) return false;
  if (locked[0].name === DEFAULT_PROJECT) {
    throw new AppError('CONFLICT', 'The default project cannot be deleted.');
  }
  if ((await tx.server.count({ where: { projectId: id } })) > 0) {
    throw new AppError('CONFLICT', 'The project still has servers; delete them first.');
  }
  if ((await tx.backup.count({ where: { projectId: id, status: { not: 'deleted' } } })) > 0) {
    throw new AppError('CONFLICT', 'The project still has backups; delete them first.');
  }
  if ((await tx.job.count({ where: { projectId: id, endedAt: null } })) > 0) {
    throw new AppError('CONFLICT', 'The project still has running jobs; wait until they have ended.');
  }
  await tx.job.deleteMany({ where: { projectId: id, endedAt: { not: null } } });
  await tx.backup.deleteMany({ where: { projectId: id, status: 'deleted' } });
  await tx.project.deleteMany({ where: { id } });
  return true;
}

function toProject({ retention, ...row }: Project): ProjectRecord {
  return { ...row, retention: retention as RetentionPolicy | null };
}
