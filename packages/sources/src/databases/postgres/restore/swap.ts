import { AppError } from '@tarfleet/kernel';
import type { RestoreSummary } from '../../../types.ts';
import type { PostgresTools } from '../tools.ts';
import { dropRoles } from './prepare.ts';
import {
  allowConnections,
  type Databases,
  dropDatabases,
  homeFor,
  listDatabases,
  oidOf,
  renameDatabases,
} from './server.ts';
import type { DatabaseState, PostgresState } from './state.ts';

type Rename = { from: string; to: string };

/** Renames what is there away and what was restored into its place, all databases in one transaction. May be repeated. */
export async function applyPostgres(tools: PostgresTools, state: PostgresState): Promise<RestoreSummary> {
  const home = homeOf(state);
  const there = await listDatabases(tools, home);
  const renames = state.databases.flatMap((one) => renamesForward(one, there));
  await renameDatabases(tools, home, renames);
  await tools.sql(home, state.databases.map(({ name }) => allowConnections(name, true)).join(''));
  return { filesRestored: state.parts, filesSkipped: 0, bytesRestored: state.bytes };
}

function renamesForward({ name, scratch, old, oid, oldOid }: DatabaseState, there: Databases): Rename[] {
  if (there.get(oid) === name) return [];
  if (there.get(oid) !== scratch) throw changed(`the restored database ${scratch} is gone`);
  const live = oidOf(there, name);
  if (live !== oldOid) throw changed(`another database ${name} has come since the restore began`);
  return [...(live === null ? [] : [{ from: name, to: old }]), { from: scratch, to: name }];
}

/** Renames everything back, however far that came. May be repeated. */
export async function undoPostgres(tools: PostgresTools, state: PostgresState): Promise<void> {
  const home = homeOf(state);
  const there = await listDatabases(tools, home);
  const renames = state.databases.flatMap(({ name, scratch, old, oid, oldOid }): Rename[] => {
    const isNew = there.get(oid) === name;
    const back = oldOid !== null && there.get(oldOid) === old ? [{ from: old, to: name }] : [];
    if (isNew && oldOid !== null && back.length === 0) throw changed(`the former database ${old} is gone`);
    return [...(isNew ? [{ from: name, to: scratch }] : []), ...back];
  });
  await renameDatabases(tools, home, renames);
  const now = await listDatabases(tools, home);
  const live = state.databases.filter(({ name, oldOid }) => oldOid !== null && now.get(oldOid) === name);
  await tools.sql(home, live.map(({ name }) => allowConnections(name, true)).join(''));
}

/** Why `undoPostgres` would not bring back what was there; null when it would. */
export async function undoablePostgres(tools: PostgresTools, state: PostgresState): Promise<string | null> {
  const there = await listDatabases(tools, homeOf(state));
  for (const { name, old, oid, oldOid } of state.databases) {
    if (there.get(oid) !== name) return `The restore cannot be undone: ${name} is another database by now.`;
    if (oldOid !== null && there.get(oldOid) !== old) {
      return `The restore cannot be undone: the former database ${old} is gone.`;
    }
  }
  return null;
}

/** Removes what was there before, or what was restored, whichever is not in place. */
export async function forgetPostgres(
  tools: PostgresTools,
  state: PostgresState,
  keepOld: boolean,
): Promise<void> {
  const home = homeOf(state);
  const there = await listDatabases(tools, home);
  const isRestored = state.databases.some(({ oid, name }) => there.get(oid) === name);
  const restored = state.databases.flatMap(({ scratch, old, oid, oldOid, name }) => [
    ...(there.get(oid) === scratch ? [scratch] : []),
    // Never the only one that is left of it.
    ...(!keepOld && oldOid !== null && there.get(oldOid) === old && oidOf(there, name) !== null ? [old] : []),
  ]);
  await dropDatabases(tools, home, [...restored, ...(state.scratch ?? [])]);
  if (!isRestored) await dropRoles(tools, home, state.roles);
}

function homeOf({ databases }: PostgresState): string {
  return homeFor(databases.map(({ name }) => name));
}

function changed(what: string): AppError {
  return new AppError('RESTORE_FAILED', `The databases cannot be put in place: ${what}.`);
}
