import type { SealedBox } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { v7 } from 'uuid';
import type { Prisma, Server as ServerRow } from './generated/client.ts';
import { toJson, toJsonOrNull } from './json.ts';
import { inScope, type Page, type PageRequest, type ProjectScope, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';
import { inTransaction } from './transaction.ts';

export interface ServerRecord {
  id: string;
  projectId: number;
  name: string;
  kind: 'ssh' | 'local';
  /** Host, port and user name are null for a local server, and for none else. */
  host: string | null;
  port: number | null;
  username: string | null;
  authType: 'private_key' | 'password' | 'none';
  hostKeyFingerprint: string | null;
  pool: string;
  becomeMethod: 'sudo' | null;
  jumpId: string | null;
  /** Its credentials, for its pool's workers alone. */
  sealed: SealedBox | null;
  environment: string | null;
  /** Tool name to version line, as the last test found them. */
  tools: Record<string, string | null> | null;
  createdAt: Date;
  updatedAt: Date;
  lastSeenAt: Date | null;
}

/** `id` may be given, for credentials are sealed before the row is made. */
export type NewServer = Omit<ServerRecord, 'id' | 'tools' | 'createdAt' | 'updatedAt' | 'lastSeenAt'> & {
  id?: string;
};
export type ServerChanges = Partial<Omit<NewServer, 'id' | 'projectId' | 'kind'>>;

export interface ServerFilter {
  scope: ProjectScope;
  projectId?: number;
  pool?: string;
  environment?: string;
}

export interface Servers {
  /** Newest first. */
  list(request: PageRequest & ServerFilter): Promise<Page<ServerRecord>>;
  get(id: string): Promise<ServerRecord | null>;
  /** As `get`, locked until the transaction ends: place and credentials change together or not at all. */
  lock(id: string): Promise<ServerRecord | null>;
  /** Those that exist, in no fixed order. */
  getMany(ids: readonly string[]): Promise<ServerRecord[]>;
  /** Those that are reached through this one, by name. */
  jumpingThrough(id: string): Promise<ServerRecord[]>;
  /** Every server that holds credentials sealed for a pool with another key than `keyId`. */
  sealedWithOtherKey(pool: string, keyId: string): Promise<ServerRecord[]>;
  /** CONFLICT when the project has such a name already. */
  create(server: NewServer): Promise<ServerRecord>;
  /** Null when there is no such server. */
  update(id: string, changes: ServerChanges): Promise<ServerRecord | null>;
  /** Takes its services along; the records of its backups stay. CONFLICT while a job works on it or others jump through it. */
  delete(id: string): Promise<boolean>;
  /** What a test found. Its fingerprint is pinned where none is yet; one that is pinned stays. */
  recordTest(
    id: string,
    test: { tools: Record<string, string | null>; at: Date; fingerprint: string | null },
  ): Promise<void>;
  /** Replaces a box by its re-sealed copy. False, and nothing done, when somebody changed it meanwhile. */
  reseal(id: string, boxes: { before: unknown; after: SealedBox }): Promise<boolean>;
}

export function createServers(db: Db): Servers {
  return {
    list({ scope, projectId, pool, environment, ...request }) {
      const where: Prisma.ServerWhereInput = {
        AND: [
          inScope(scope),
          projectId === undefined ? {} : { projectId },
          pool === undefined ? {} : { pool },
          environment === undefined ? {} : { environment },
        ],
      };
      return readPage(
        request,
        (range) => db.server.findMany({ ...range, where, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] }),
        () => db.server.count({ where }),
        toServer,
      );
    },
    async get(id) {
      const row = await db.server.findUnique({ where: { id } });
      return row && toServer(row);
    },
    async lock(id) {
      await db.$queryRaw`SELECT 1 AS locked FROM servers WHERE id = ${id}::uuid FOR UPDATE`;
      const row = await db.server.findUnique({ where: { id } });
      return row && toServer(row);
    },
    async getMany(ids) {
      return (await db.server.findMany({ where: { id: { in: [...ids] } } })).map(toServer);
    },
    async jumpingThrough(id) {
      return (await db.server.findMany({ where: { jumpId: id }, orderBy: { name: 'asc' } })).map(toServer);
    },
    async sealedWithOtherKey(pool, keyId) {
      const where = { pool, sealed: { path: ['keyId'], string_starts_with: '' } };
      const rows = (await db.server.findMany({ where, orderBy: { id: 'asc' } })).map(toServer);
      return rows.filter((server) => server.sealed?.keyId !== keyId);
    },
    async create({ sealed, ...server }) {
      const data = { ...server, id: server.id ?? v7(), sealed: toJsonOrNull(sealed) };
      return toServer(await db.server.create({ data }));
    },
    async update(id, { sealed, ...changes }) {
      const data = { ...changes, ...(sealed === undefined ? {} : { sealed: toJsonOrNull(sealed) }) };
      const rows = await db.server.updateManyAndReturn({ where: { id }, data });
      return rows[0] ? toServer(rows[0]) : null;
    },
    delete: (id) => inTransaction(db, (tx) => remove(tx, id)),
    async recordTest(id, { tools, at, fingerprint }) {
      await db.server.updateMany({ where: { id }, data: { tools: toJson(tools), lastSeenAt: at } });
      if (fingerprint === null) return;
      await db.server.updateMany({
        where: { id, kind: 'ssh', hostKeyFingerprint: null },
        data: { hostKeyFingerprint: fingerprint },
      });
    },
    async reseal(id, { before, after }) {
      const done = await db.server.updateMany({
        where: { id, sealed: { equals: toJson(before) } },
        data: { sealed: toJson(after) },
      });
      return done.count > 0;
    },
  };
}

async function remove(tx: Db, id: string): Promise<boolean> {
  await tx.$queryRaw`SELECT 1 AS locked FROM servers WHERE id = ${id}::uuid FOR UPDATE`;
  const leased = await tx.$queryRaw<{ name: string }[]>`
    SELECT name FROM services JOIN service_leases ON service_id = services.id WHERE server_id = ${id}::uuid LIMIT 1`;
  if (leased[0]) {
    throw new AppError(
      'CONFLICT',
      `A job works on the service ${leased[0].name} now; wait until it has ended.`,
    );
  }
  return (await tx.server.deleteMany({ where: { id } })).count > 0;
}

/** @internal shared with the services, which come with their servers. */
export function toServer(row: ServerRow): ServerRecord {
  return {
    ...row,
    kind: row.kind as ServerRecord['kind'],
    authType: row.authType as ServerRecord['authType'],
    becomeMethod: row.becomeMethod as ServerRecord['becomeMethod'],
    sealed: row.sealed as SealedBox | null,
    tools: row.tools as ServerRecord['tools'],
  };
}
