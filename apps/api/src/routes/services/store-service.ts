import type { ServiceType } from '@tarfleet/contracts';
import type { Database, NewService, Repositories, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { notFound } from '../../plugins/access.ts';
import { invalid } from '../../plugins/faults.ts';
import { checkDependencies } from './check-dependencies.ts';
import { checkPaths } from './check-paths.ts';
import { checkRun } from './check-run.ts';
import type { RunSettings } from './run-schemas.ts';
import { changeRun, readRun } from './run-settings.ts';
import type { ServiceChangesBody } from './schemas.ts';

/** What is stored of a service, its settings read. */
type Draft = Omit<NewService, 'serverId' | 'type' | 'settings'> & { type: ServiceType; run: RunSettings };

/** Makes a service. */
export function createService(
  db: Database,
  serverId: string,
  body: ServiceChangesBody & { name: string; type: ServiceType; component: string },
): Promise<ServiceRecord> {
  const draft: Draft = {
    name: body.name,
    type: body.type,
    component: body.component,
    configPaths: body.config_paths ?? [],
    dataPaths: body.data_paths ?? [],
    exclude: body.exclude ?? [],
    backupPriority: body.backup_priority ?? 0,
    dependsOn: body.depends_on ?? [],
    run: changeRun(body, null, false),
  };
  assertSupported(body);
  return db.transaction(async (tx) => {
    check(draft, await tx.services.lockAll(serverId));
    return tx.services.create({ serverId, ...toStored(draft) });
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
    const type = body.type ?? (stored.type as ServiceType);
    const draft: Draft = {
      name: body.name ?? stored.name,
      type,
      component: body.component ?? stored.component,
      configPaths: body.config_paths ?? stored.configPaths,
      dataPaths: body.data_paths ?? stored.dataPaths,
      exclude: body.exclude ?? stored.exclude,
      backupPriority: body.backup_priority ?? stored.backupPriority,
      dependsOn: body.depends_on ?? stored.dependsOn,
      run: changeRun(body, readRun(stored.settings), type === stored.type),
    };
    const others = renamed.filter((one) => one.id !== stored.id);
    check(draft, others);
    if (draft.name !== stored.name) await followName(tx, others, draft.name);
    const changed = await tx.services.update(stored.id, toStored(draft));
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

function check(draft: Draft, others: ServiceRecord[]): void {
  const faults = [
    ...checkPaths(draft),
    ...checkDependencies(draft, others),
    ...checkRun(draft.type, draft.run),
  ];
  if (faults.length > 0) throw invalid(faults);
}

function toStored({ run, ...draft }: Draft) {
  return { ...draft, settings: { ...run } };
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
function assertSupported({ database }: ServiceChangesBody): void {
  if (database === undefined || database === null) return;
  throw new AppError('NOT_SUPPORTED', 'Not supported yet, leave it out: database.', {
    details: [{ path: 'body/database', message: 'is not supported yet' }],
  });
}
