/** Each document's requests in one form: pure functions, defaults included. What a later version brings is refused here. */
import { posix } from 'node:path';
import { AppError } from '@tarfleet/kernel';
import type { BackupRequest } from '../../planner/backup.ts';
import type { RestoreRequest } from '../../planner/restore.ts';
import { invalid } from '../../plugins/faults.ts';
import type { CreateBody } from './create-schemas.ts';
import type { RestoreBody } from './restore-schemas.ts';
import type { ListQuery } from './schemas.ts';

const TYPES = ['full', 'incremental', 'differential', 'transaction'] as const;
type Type = (typeof TYPES)[number];
const DEFAULT_RETENTION_DAYS = 90;
const DEFAULT_LEVEL = 6;

type FromBody = Omit<BackupRequest, 'projectId' | 'userId' | 'requestId'>;

/** What of a restore its body alone decides. */
export type RestoreWish = Pick<
  RestoreRequest,
  'services' | 'paths' | 'restorePath' | 'overwrite' | 'verifyIntegrity' | 'rollback' | 'healthChecks'
> & { warnings: string[] };

/** Document 2's `POST /api/backups/create`. */
export function normaliseCreate(body: CreateBody): FromBody {
  const type = assertType(body.type);
  if (type === 'transaction') throw later('type: transaction', 'Use full, incremental or differential.');
  if (body.notification !== undefined) throw later('notification', 'Leave it out.');
  if (body.location !== undefined) throw later('location', 'Name a destination by destination_id.');
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
    retentionDays: body.retention_days ?? DEFAULT_RETENTION_DAYS,
    verify: body.verify ?? true,
    compression: { enabled: body.compress ?? true, level: body.compression_level ?? DEFAULT_LEVEL },
    deduplicate: body.deduplicate ?? false,
    encrypt: body.encrypt ?? true,
    warnings,
  };
}

/** Documents 1 and 3's `POST /api/backups/:id/restore`; which server it is for is for those who may look. */
export function normaliseRestore(body: RestoreBody): RestoreWish {
  if (body.validateOnly === true) throw later('validateOnly: true', 'Leave it out.');
  const selective = body.restoreType === 'selective';
  if (selective && body.selectedServices === undefined) {
    throw invalid([{ path: 'body/selectedServices', message: 'is required when restoreType is selective' }]);
  }
  if (!selective && body.selectedServices !== undefined) {
    throw invalid([{ path: 'body/selectedServices', message: 'needs restoreType: selective' }]);
  }
  const restorePath = normalRestorePath(body.restorePath);
  const overwrite = body.overwrite ?? restorePath === null;
  const warnings: string[] = [];
  if (!overwrite) {
    warnings.push('Files that exist are left as they are; send overwrite: true to replace them.');
  }
  return {
    services: body.selectedServices ?? null,
    paths: normalPaths(body.paths),
    restorePath,
    overwrite,
    verifyIntegrity: body.verifyIntegrity ?? true,
    rollback: body.createRollbackPoint ?? true,
    healthChecks: !(body.skipHealthChecks ?? false),
    warnings,
  };
}

/** What is put below `/` is put where it was. */
function normalRestorePath(path: string | undefined): string | null {
  const plain = path === undefined ? '/' : normalPath('restorePath', path);
  return plain === '/' ? null : plain;
}

/** Null for everything; and that is what `/` means. */
function normalPaths(paths: string[] | undefined): string[] | null {
  const plain = paths?.map((path) => normalPath('paths', path));
  return plain === undefined || plain.includes('/') ? null : plain;
}

/** As the index has it: no slash at its end but that of `/`, no `.`, no doubled slashes. */
function normalPath(field: string, path: string): string {
  if (path.split('/').includes('..')) {
    throw invalid([{ path: `body/${field}`, message: 'must not hold ".."' }]);
  }
  return posix.normalize(path).replace(/(?<=.)\/+$/, '');
}

const DAY_MS = 86_400_000;

/** The dates of a list's filter, or the faults in them. A day without a time is the whole day in UTC, at either end. */
export function normaliseDates(query: ListQuery): { from?: Date; to?: Date } {
  const faults: { path: string; message: string }[] = [];
  const read = (field: 'start_date' | 'end_date'): Date | undefined => {
    const text = query[field];
    if (text === undefined) return undefined;
    const date = parseTime(text);
    if (date) {
      const wholeDay = field === 'end_date' && text.length === 10;
      return wholeDay ? new Date(date.getTime() + DAY_MS - 1) : date;
    }
    faults.push({
      path: `query/${field}`,
      message: 'must be an ISO 8601 date, such as 2026-01-31T00:00:00Z',
    });
    return undefined;
  };
  const from = read('start_date');
  const to = read('end_date');
  if (faults.length > 0) throw invalid(faults);
  return { ...(from ? { from } : {}), ...(to ? { to } : {}) };
}

const TIME = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** ISO 8601, in UTC where no zone is named; undefined when there is no such time. */
function parseTime(text: string): Date | undefined {
  const [, day, zone] = TIME.exec(text) ?? [];
  // The language's own parser takes February 30 for March 2.
  const midnight = new Date(day ?? '');
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== day) return undefined;
  const date = new Date(text.length === 10 || zone ? text : `${text}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

export function assertType(type: string): Type {
  const known = TYPES.find((one) => one === type);
  if (known) return known;
  throw new AppError('INVALID_BACKUP_TYPE', `There is no backup type ${type}. Types: ${TYPES.join(', ')}.`);
}

function later(what: string, instead: string): AppError {
  return new AppError('NOT_SUPPORTED', `${what} is not supported by this version yet. ${instead}`);
}
