/** Each document's requests in one form: pure functions, defaults included. What a later version brings is refused here. */
import { posix } from 'node:path';
import { AppError } from '@tarfleet/kernel';
import type { BackupRequest } from '../../planner/backup.ts';
import type { RestoreRequest } from '../../planner/restore.ts';
import { invalid } from '../../plugins/faults.ts';
import type { ProjectBackupBody } from '../project-backups/schemas.ts';
import { readDates } from '../read-dates.ts';
import type { ComponentRestoreBody } from './component-restore-schemas.ts';
import type { CreateBody } from './create-schemas.ts';
import type { RestoreBody } from './restore-schemas.ts';
import type { ListQuery } from './schemas.ts';

const TYPES = ['full', 'incremental', 'differential', 'transaction'] as const;
type Type = (typeof TYPES)[number];
const DEFAULT_LEVEL = 6;

type FromBody = Omit<BackupRequest, 'projectId' | 'userId' | 'scheduleId' | 'requestId'>;

/** What of a restore its body alone decides. */
export type RestoreWish = Pick<
  RestoreRequest,
  | 'services'
  | 'paths'
  | 'restorePath'
  | 'overwrite'
  | 'verifyIntegrity'
  | 'rollback'
  | 'healthChecks'
  | 'dropExisting'
> & { warnings: string[] };

/** Document 2's `POST /api/backups/create`. */
export function normaliseCreate(body: CreateBody): FromBody {
  const type = assertType(body.type);
  if (type === 'transaction') throw later('type: transaction', 'Use full, incremental or differential.');
  if (body.location !== undefined && body.destination_id !== undefined) {
    throw invalid([{ path: 'body/location', message: 'is another way to say destination_id: send one' }]);
  }
  const warnings: string[] = [];
  return {
    dialect: 'botserver',
    type,
    name: body.name ?? null,
    description: body.description ?? null,
    components: body.components ?? null,
    services: body.services ?? null,
    serverId: body.server_id ?? null,
    destinationId: body.destination_id ?? null,
    copyTo: body.copy_to ?? [],
    retentionDays: body.retention_days ?? null,
    verify: body.verify ?? true,
    compression: { enabled: body.compress ?? true, level: body.compression_level ?? DEFAULT_LEVEL },
    deduplicate: body.deduplicate ?? false,
    encrypt: body.encrypt ?? true,
    warnings,
  };
}

/** Document 3's `POST /api/projects/:id/backups`: everything of the project, kept until somebody deletes it. */
export function normaliseProjectCreate(body: ProjectBackupBody): FromBody {
  return {
    ...normaliseCreate({
      ...{ type: 'full', name: body.name },
      ...(body.copy_to === undefined ? {} : { copy_to: body.copy_to }),
    }),
    ...{ dialect: 'cloudbox', description: body.description ?? null, fallbackDays: null },
    automatic: body.type === 'automatic',
    records: true,
  };
}

/** Documents 1 and 3's `POST /api/backups/:id/restore`; which server it is for is for those who may look. */
export function normaliseRestore(body: RestoreBody, where = 'body'): RestoreWish {
  const selective = body.restoreType === 'selective';
  if (selective && body.selectedServices === undefined) {
    throw invalid([
      { path: `${where}/selectedServices`, message: 'is required when restoreType is selective' },
    ]);
  }
  if (!selective && body.selectedServices !== undefined) {
    throw invalid([{ path: `${where}/selectedServices`, message: 'needs restoreType: selective' }]);
  }
  const restorePath = normalRestorePath(body.restorePath, where);
  const overwrite = body.overwrite ?? restorePath === null;
  const warnings: string[] = [];
  if (!overwrite) {
    warnings.push('Files that exist are left as they are; send overwrite: true to replace them.');
  }
  return {
    services: body.selectedServices ?? null,
    paths: normalPaths(body.paths, where),
    restorePath,
    overwrite,
    verifyIntegrity: body.verifyIntegrity ?? true,
    rollback: body.createRollbackPoint ?? true,
    healthChecks: !(body.skipHealthChecks ?? false),
    dropExisting: body.database?.dropExisting ?? false,
    warnings,
  };
}

/** Document 2's `POST /api/backups/restore`; which of the backup's services and where to is for those who look. */
export function normaliseComponentRestore(body: ComponentRestoreBody): Omit<RestoreWish, 'services'> {
  const { database, files } = body.restore_options ?? {};
  if (database?.point_in_time !== undefined) {
    throw later('point_in_time', 'Choose the backup that was made at that time.');
  }
  const { services: _all, ...wish } = normaliseRestore(
    {
      ...(files?.restore_path === undefined ? {} : { restorePath: files.restore_path }),
      ...(files?.overwrite_existing === undefined ? {} : { overwrite: files.overwrite_existing }),
      ...(database?.drop_existing === undefined
        ? {}
        : { database: { dropExisting: database.drop_existing } }),
    },
    'body/restore_options/files',
  );
  const { restorePath } = wish;
  return {
    ...wish,
    warnings:
      restorePath === null
        ? wish.warnings
        : [`Files will be restored below ${restorePath}, not to their own paths.`],
  };
}

/** What is put below `/` is put where it was. */
function normalRestorePath(path: string | undefined, where: string): string | null {
  const plain = path === undefined ? '/' : normalPath(`${where}/restorePath`, path);
  return plain === '/' ? null : plain;
}

/** Null for everything; and that is what `/` means. */
function normalPaths(paths: string[] | undefined, where: string): string[] | null {
  const plain = paths?.map((path) => normalPath(`${where}/paths`, path));
  return plain === undefined || plain.includes('/') ? null : plain;
}

/** As the index has it: no slash at its end but that of `/`, no `.`, no doubled slashes. */
function normalPath(field: string, path: string): string {
  if (path.split('/').includes('..')) {
    throw invalid([{ path: field, message: 'must not hold ".."' }]);
  }
  return posix.normalize(path).replace(/(?<=.)\/+$/, '');
}

/** The dates of a list's filter, or the faults in them. A day without a time is the whole day in UTC, at either end. */
export function normaliseDates(query: ListQuery): { from?: Date; to?: Date } {
  return readDates(query, ['start_date', 'end_date']);
}

export function assertType(type: string): Type {
  const known = TYPES.find((one) => one === type);
  if (known) return known;
  throw new AppError('INVALID_BACKUP_TYPE', `There is no backup type ${type}. Types: ${TYPES.join(', ')}.`);
}

function later(what: string, instead: string): AppError {
  return new AppError('NOT_SUPPORTED', `${what} is not supported by this version yet. ${instead}`);
}
