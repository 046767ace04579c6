import { isDatabaseType, type ServiceType } from '@tarfleet/contracts';
import type { Database, NewService, Repositories, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { AppDeps } from '../../deps.ts';
import { assertNoneCaptured, foldersOn } from '../../planner/destination-folders.ts';
import { notFound } from '../../plugins/access.ts';
import { invalid } from '../../plugins/faults.ts';
import { checkDependencies } from './check-dependencies.ts';
import { checkHooks, readHooks } from './check-hooks.ts';
import { checkPaths } from './check-paths.ts';
import { checkRun } from './check-run.ts';
import type { DatabaseBody, Hooks } from './database-schemas.ts';
import {
  checkDatabase,
  type DatabaseSettings,
  readDatabase,
  readPassword,
  type SealedPassword,
  toSettings,
} from './database-settings.ts';
import type { RunSettings } from './run-schemas.ts';
import { changeRun, readRun } from './run-settings.ts';
import type { ServiceChangesBody } from './schemas.ts';
import { passwordFor } from './seal-database-password.ts';

/** What is stored of a service, its settings read. */
type Draft = Omit<NewService, 'serverId' | 'type' | 'settings'> & {
  type: ServiceType;
  run: RunSettings;
  database: DatabaseSettings | null;
  password: SealedPassword | null;
  hooks: Hooks | null;
};
type Deps = Pick<AppDeps, 'db' | 'vault'>;

/** Makes a service. */
export async function createService(
  { db, vault }: Deps,
  server: ServerRecord,
  body: ServiceChangesBody & { name: string; type: ServiceType; component: string },
): Promise<ServiceRecord> {
  const { type } = body;
  const database = toStoredDatabase(type, body.database ?? null);
  const draft: Draft = {
    name: body.name,
    type,
    component: body.component,
    configPaths: body.config_paths ?? [],
    dataPaths: body.data_paths ?? [],
    exclude: body.exclude ?? [],
    backupPriority: body.backup_priority ?? 0,
    dependsOn: body.depends_on ?? [],
    run: changeRun(body, null, false),
    hooks: body.hooks ?? null,
    database,
    password: null,
  };
  return db.transaction(async (tx) => {
    check(draft, await tx.services.lockAll(server.id));
    await checkDestinations(tx, server, draft);
    draft.password = await passwordFor(vault, server, draft, body.database?.password, null);
    return tx.services.create({ serverId: server.id, ...toStored(draft) });
  });
}

/** Changes a service. Under a new name it stays what others depend on. */
export async function changeService(
  { db, vault }: Deps,
  server: ServerRecord,
  service: ServiceRecord,
  body: ServiceChangesBody,
): Promise<ServiceRecord> {
  return db.transaction(async (tx) => {
    const all = await tx.services.lockAll(service.serverId);
    const stored = all.find((one) => one.id === service.id);
    if (!stored) throw notFound('service');
    const renamed = all.map((one) => ({ ...one, dependsOn: rename(one.dependsOn, stored.name, body.name) }));
    const type = body.type ?? (stored.type as ServiceType);
    const sameType = type === stored.type;
    const database =
      body.database === undefined && sameType
        ? readDatabase(stored)
        : toStoredDatabase(type, body.database ?? null);
    const draft: Draft = {
      name: body.name ?? stored.name,
      type,
      component: body.component ?? stored.component,
      configPaths: body.config_paths ?? stored.configPaths,
      dataPaths: body.data_paths ?? stored.dataPaths,
      exclude: body.exclude ?? stored.exclude,
      backupPriority: body.backup_priority ?? stored.backupPriority,
      dependsOn: body.depends_on ?? stored.dependsOn,
      run: changeRun(body, readRun(stored.settings), sameType),
      hooks: body.hooks === undefined ? readHooks(stored) : body.hooks,
      database,
      password: null,
    };
    const others = renamed.filter((one) => one.id !== stored.id);
    check(draft, others);
    await checkDestinations(tx, server, draft);
    const password = sameType ? readPassword(stored) : null;
    draft.password = await passwordFor(vault, server, draft, body.database?.password, password);
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
    ...checkDatabase(draft.type, draft.database),
    ...checkHooks(draft.hooks),
  ];
  if (faults.length > 0) throw invalid(faults);
}

async function checkDestinations(tx: Repositories, server: ServerRecord, draft: Draft): Promise<void> {
  const folders = foldersOn(server, await tx.destinations.all());
  assertNoneCaptured(draft.name, [...draft.configPaths, ...draft.dataPaths], folders);
}

function toStored({ run, database, password, hooks, ...draft }: Draft) {
  const settings = {
    ...run,
    ...(hooks ? { hooks } : {}),
    ...(database ? { database } : {}),
    ...(password ? { databasePassword: password } : {}),
  };
  return { ...draft, settings };
}

/** A service of a database has one, even when nothing is said of it; one of files has none, unless somebody says so. */
function toStoredDatabase(type: ServiceType, body: DatabaseBody | null): DatabaseSettings | null {
  if (body === null && !isDatabaseType(type)) return null;
  return toSettings(body ?? {});
}

function rename(names: string[], from: string, to: string | undefined): string[] {
  return to === undefined ? names : names.map((name) => (name === from ? to : name));
}

async function followName(tx: Repositories, others: ServiceRecord[], name: string): Promise<void> {
  for (const other of others) {
    if (other.dependsOn.includes(name)) await tx.services.update(other.id, { dependsOn: other.dependsOn });
  }
}
