import { type BackupMethod, type DatabaseType, isDatabaseType, type RestorePlan } from '@tarfleet/contracts';
import type { ArtifactRecord, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { toDatabaseTarget } from './database-target.ts';
import { databasePlace } from './restore-run.ts';
import { toServiceRun } from './service-run.ts';

/** How rows of a tenant are backed up. */
export const ROWS_METHOD: BackupMethod = 'psql_copy';
const TYPES: Record<string, DatabaseType> = {
  ...{ pg_dump: 'postgres', mysqldump: 'mysql', 'mariadb-dump': 'mysql' },
  ...{ sqlite3_backup: 'sqlite', redis_rdb: 'redis', [ROWS_METHOD]: 'rows' },
};
export interface RestoredDatabases {
  databases: NonNullable<RestorePlan['databases']>;
  /** What of the server is put in place: stands beside the paths of files. */
  places: string[];
}

/**
 * Where the databases among these artifacts are restored to: into the server's service of the same id, else of the same
 * name, else the only one of the type. NOT_SUPPORTED for engines and choices that are not for databases, CONFLICT where
 * there is no such service or more than one.
 */
export function restoredDatabases(
  artifacts: readonly ArtifactRecord[],
  { server, services }: { server: ServerRecord; services: readonly ServiceRecord[] },
  wish: { paths: readonly string[] | null; restorePath: string | null; pathForFiles?: boolean },
): RestoredDatabases {
  const aside = wish.pathForFiles === true && artifacts.some(({ backupMethod }) => backupMethod === null);
  const databases: RestoredDatabases['databases'] = [];
  const places: string[] = [];
  for (const artifact of artifacts) {
    const type = artifact.backupMethod === null ? undefined : TYPES[artifact.backupMethod];
    if (artifact.backupMethod === null) continue;
    const { serviceName: name } = artifact;
    if (type === undefined) {
      throw new AppError(
        'NOT_SUPPORTED',
        `${name}: backups made by ${artifact.backupMethod} are not known here.`,
      );
    }
    if (wish.paths !== null || (wish.restorePath !== null && !aside)) {
      throw new AppError(
        'NOT_SUPPORTED',
        `${name}: a database is restored whole and into its server. Leave paths and restorePath out, or choose services of files by selectedServices.`,
      );
    }
    const service = choose(artifact, type, server, services);
    if (type === 'redis') assertStoppable(service);
    const target = toDatabaseTarget(service, server);
    if (target === undefined) throw new TypeError('a service of a database has one');
    databases.push({ serviceId: artifact.serviceId, target });
    places.push(databasePlace(service));
  }
  return { databases, places };
}

function choose(
  { serviceId, serviceName }: ArtifactRecord,
  type: DatabaseType,
  server: ServerRecord,
  services: readonly ServiceRecord[],
): ServiceRecord {
  const fitting = services.filter((service) => isDatabaseType(service.type) && service.type === type);
  const [only, ...more] = fitting;
  const chosen =
    fitting.find(({ id }) => id === serviceId) ??
    fitting.find(({ name }) => name === serviceName) ??
    (more.length === 0 ? only : undefined);
  if (chosen) return chosen;
  const what = fitting.length === 0 ? 'has no service' : 'has more than one service';
  throw new AppError(
    'CONFLICT',
    `${server.name} ${what} of the type ${type}, so where ${serviceName} is to be restored to is not clear. Add one of that name, with POST /api/servers/${server.id}/services.`,
  );
}

/** Redis writes its file when it stops and reads it when it starts: only in between can it be replaced. */
function assertStoppable(service: ServiceRecord): void {
  if (toServiceRun(service).runner.kind !== 'none') return;
  throw new AppError(
    'CONFLICT',
    `How ${service.name} is stopped and started is not known, and its file can only be replaced while it stands. Give the service a unit, or the commands stop, start and status.`,
  );
}
