import type { Database, NewService, Repositories, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { notFound } from '../../plugins/access.ts';
import { invalid } from '../../plugins/faults.ts';
import { checkDependencies } from './check-dependencies.ts';
import { checkPaths } from './check-paths.ts';
import type { ServiceChangesBody } from './schemas.ts';

const LATER = ['stop', 'start', 'health_check', 'database'] as const;

/** Makes a service. */
export function createService(
  db: Database,
  serverId: string,
  body: ServiceChangesBody & { name: string; type: string; component: string },
): Promise<ServiceRecord> {
  const draft: NewService = {
    serverId,
    name: body.name,
    type: body.type,
    component: body.component,
    configPaths: body.config_paths ?? [],
    dataPaths: body.data_paths ?? [],
    exclude: body.exclude ?? [],
    backupPriority: body.backup_priority ?? 0,
    dependsOn: body.depends_on ?? [],
    settings: {},
  };
  assertSupported(body);
  return db.transaction(async (tx) => {
    check(draft, await tx.services.lockAll(serverId));
    return tx.services.create(draft);
  });
}

/** Changes a service. Under a new name it stays what others depend on. */
export function changeService(
  db: Database,
  service: ServiceRecord,
  body: ServiceChangesBody,
): Promise<ServiceRecord> {
  assertSupported(body);
  return db.transaction(async (tx) => {
    const all = await tx.services.lockAll(service.serverId);
    const stored = all.find((one) => one.id === service.id);
    if (!stored) throw notFound('service');
    const renamed = all.map((one) => ({ ...one, dependsOn: rename(one.dependsOn, stored.name, body.name) }));
    const draft = {
      name: body.name ?? stored.name,
      type: body.type ?? stored.type,
      component: body.component ?? stored.component,
      configPaths: body.config_paths ?? stored.configPaths,
      dataPaths: body.data_paths ?? stored.dataPaths,
      exclude: body.exclude ?? stored.exclude,
      backupPriority: body.backup_priority ?? stored.backupPriority,
      dependsOn: body.depends_on ?? stored.dependsOn,
    };
    const others = renamed.filter((one) => one.id !== stored.id);
    check(draft, others);
    if (draft.name !== stored.name) await followName(tx, others, draft.name);
    const changed = await tx.services.update(stored.id, draft);
    if (!changed) throw notFound('service');
    return changed;
  });
}

/** CONFLICT while other services depend on it. */
export async function deleteService(db: Database, service: ServiceRecord): Promise<void> {
  await db.transaction(async (tx) => {
    const others = await tx.services.lockAll(service.serverId);
    const dependents = others.filter((one) => one.dependsOn.includes(service.name)).map((one) => one.name);
    if (dependents.length > 0) {
      throw new AppError(
        'CONFLICT',
        `Other services depend on this one (${dependents.join(', ')}); take it out of their depends_on first.`,
      );
    }
    if (!(await tx.services.delete(service.id))) throw notFound('service');
  });
}

function check(
  draft: Pick<NewService, 'name' | 'dependsOn' | 'configPaths' | 'dataPaths'>,
  others: ServiceRecord[],
): void {
  const faults = [...checkPaths(draft), ...checkDependencies(draft, others)];
  if (faults.length > 0) throw invalid(faults);
}

function rename(names: string[], from: string, to: string | undefined): string[] {
  return to === undefined ? names : names.map((name) => (name === from ? to : name));
}

async function followName(tx: Repositories, others: ServiceRecord[], name: string): Promise<void> {
  for (const other of others) {
    if (other.dependsOn.includes(name)) await tx.services.update(other.id, { dependsOn: other.dependsOn });
  }
}

/** What later versions bring is refused, not stored and quietly ignored. */
function assertSupported(body: ServiceChangesBody): void {
  const asked = LATER.filter((field) => body[field] !== undefined && body[field] !== null);
  if (asked.length > 0) {
    throw new AppError('NOT_SUPPORTED', `Not supported yet, leave it out: ${asked.join(', ')}.`, {
      details: asked.map((field) => ({ path: `body/${field}`, message: 'is not supported yet' })),
    });
  }
  if (body.type !== undefined && body.type !== 'files') {
    throw new AppError('NOT_SUPPORTED', 'Only services of the type `files` are supported yet.', {
      details: [{ path: 'body/type', message: 'must be: files' }],
    });
  }
}
