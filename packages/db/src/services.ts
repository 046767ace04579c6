import type { SealedBox } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { v7, validate } from 'uuid';
import type { Prisma, Service as ServiceRow } from './generated/client.ts';
import { toJson } from './json.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';
import { type ServerRecord, toServer } from './servers.ts';
import { inTransaction } from './transaction.ts';

export interface ServiceRecord {
  id: string;
  serverId: string;
  name: string;
  type: string;
  component: string;
  configPaths: string[];
  dataPaths: string[];
  exclude: string[];
  /** Higher comes first. */
  backupPriority: number;
  /** Names of services on the same server. */
  dependsOn: string[];
  /** How it stops, starts and is checked, and its database: as the API's schemas have it. */
  settings: Record<string, unknown>;
  createdAt: Date;
  updatedAt: Date;
}

export type NewService = Omit<ServiceRecord, 'id' | 'createdAt' | 'updatedAt'>;
export type ServiceChanges = Partial<Omit<NewService, 'serverId'>>;

export interface Services {
  /** Of one server, newest first. */
  list(serverId: string, request: PageRequest): Promise<Page<ServiceRecord>>;
  /** All of one server, in the order of `ofProject`. */
  find(filter: { serverId: string }): Promise<ServiceRecord[]>;
  /**
   * All of a project, or those with one of these ids or names, with their servers: the highest backup priority
   * first, then by name.
   */
  ofProject(
    projectId: number,
    idsOrNames?: readonly string[],
  ): Promise<{ service: ServiceRecord; server: ServerRecord }[]>;
  /** All there are, with their servers. */
  all(): Promise<{ service: ServiceRecord; server: ServerRecord }[]>;
  /** All of a server by name, with the server locked until the transaction ends: what is checked against them stays true. */
  lockAll(serverId: string): Promise<ServiceRecord[]>;
  get(id: string): Promise<ServiceRecord | null>;
  /** CONFLICT when the server has such a name already. */
  create(service: NewService): Promise<ServiceRecord>;
  /** Null when there is no such service. */
  update(id: string, changes: ServiceChanges): Promise<ServiceRecord | null>;
  /** Replaces the box of its database's password by its re-sealed copy. False when somebody changed it meanwhile. */
  resealPassword(id: string, boxes: { before: SealedBox; after: SealedBox }): Promise<boolean>;
  /** The records of its backups stay. CONFLICT while a job works on it. */
  delete(id: string): Promise<boolean>;
}

const BY_PRIORITY: Prisma.ServiceOrderByWithRelationInput[] = [
  { backupPriority: 'desc' },
  { name: 'asc' },
  { id: 'asc' },
];

export function createServices(db: Db): Services {
  return {
    list: (serverId, request) =>
      readPage(
        request,
        (range) =>
          db.service.findMany({
            ...range,
            where: { serverId },
            orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
          }),
        () => db.service.count({ where: { serverId } }),
        toService,
      ),
    async find({ serverId }) {
      return (await db.service.findMany({ where: { serverId }, orderBy: BY_PRIORITY })).map(toService);
    },
    async ofProject(projectId, idsOrNames) {
      const wanted = idsOrNames && {
        OR: [{ id: { in: idsOrNames.filter((one) => validate(one)) } }, { name: { in: [...idsOrNames] } }],
      };
      const rows = await db.service.findMany({
        where: { server: { projectId }, ...wanted },
        include: { server: true },
        orderBy: BY_PRIORITY,
      });
      return rows.map(withServer);
    },
    async all() {
      return (await db.service.findMany({ include: { server: true }, orderBy: BY_PRIORITY })).map(withServer);
    },
    async lockAll(serverId) {
      await db.$queryRaw`SELECT 1 AS locked FROM servers WHERE id = ${serverId}::uuid FOR UPDATE`;
      const rows = await db.service.findMany({ where: { serverId }, orderBy: { name: 'asc' } });
      return rows.map(toService);
    },
    async get(id) {
      const row = await db.service.findUnique({ where: { id } });
      return row && toService(row);
    },
    async create(service) {
      const data = { ...service, id: v7(), settings: toJson(service.settings) };
      return toService(await db.service.create({ data }));
    },
    async update(id, { settings, ...changes }) {
      const data = { ...changes, ...(settings === undefined ? {} : { settings: toJson(settings) }) };
      const rows = await db.service.updateManyAndReturn({ where: { id }, data });
      return rows[0] ? toService(rows[0]) : null;
    },
    async resealPassword(id, { before, after }) {
      const changed = await db.$executeRaw`
        UPDATE services
        SET settings = jsonb_set(settings, '{databasePassword,box}', ${JSON.stringify(after)}::jsonb), updated_at = now()
        WHERE id = ${id}::uuid AND settings #> '{databasePassword,box}' = ${JSON.stringify(before)}::jsonb`;
      return changed > 0;
    },
    delete: (id) =>
      inTransaction(db, async (tx) => {
        await tx.$queryRaw`SELECT 1 AS locked FROM services WHERE id = ${id}::uuid FOR UPDATE`;
        if (await tx.serviceLease.findUnique({ where: { serviceId: id } })) {
          throw new AppError('CONFLICT', 'A job works on this service now; wait until it has ended.');
        }
        return (await tx.service.deleteMany({ where: { id } })).count > 0;
      }),
  };
}

function withServer({ server, ...service }: Prisma.ServiceGetPayload<{ include: { server: true } }>) {
  return { service: toService(service), server: toServer(server) };
}

function toService(row: ServiceRow): ServiceRecord {
  return { ...row, settings: row.settings as ServiceRecord['settings'] };
}
