import { isDeepStrictEqual } from 'node:util';
import { ACTIVE_RECORD_KINDS, type ActiveRecordKind, type RecordsMode } from '@tarfleet/contracts';
import type { RecordRow, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import { checkPlace } from '../../routes/destinations/check-place.ts';
import { changeOf, notificationOf } from './change-of.ts';
import type { StagedRows } from './read-staged.ts';

export interface ApplyOptions {
  mode: RecordsMode;
  /** Where to. */
  projectId: number;
  /** Whether that is another project than the one that was backed up. */
  elsewhere: boolean;
}

/** Names, with the server's in front for services. */
export interface AppliedRecords {
  created: Record<ActiveRecordKind, string[]>;
  changed: string[];
  /** They differ from the backup, and stayed as they are; with the reason in brackets where that is not the mode. */
  left: string[];
  /** They could not be made, with the reason in brackets. */
  skipped: string[];
  /** Servers and databases whose credentials have to be given again. */
  withoutCredentials: string[];
}

interface Work extends ApplyOptions {
  tx: Pick<Repositories, 'projectRecords' | 'destinations' | 'services'>;
  applied: AppliedRecords;
  /** By the id in the backup, what stands for it here. */
  ids: Map<string, string>;
  /** All ids in the backup. */
  known: Set<string>;
  /** Those of the backup that nothing stands for here. */
  without: Set<string>;
  at: Date;
}

/**
 * Makes again what of the records the project does not have any more; with `all`, sets back what differs, too. What was
 * made since the backup stays. A schedule that is made or changed is paused.
 */
export async function applyRecords(
  tx: Work['tx'],
  rows: StagedRows,
  options: ApplyOptions & { at: Date },
): Promise<AppliedRecords> {
  const applied: AppliedRecords = {
    created: { destinations: [], servers: [], services: [], schedules: [] },
    ...{ changed: [], left: [], skipped: [], withoutCredentials: [] },
  };
  const known = new Set(ACTIVE_RECORD_KINDS.flatMap((kind) => rows[kind].map(({ id }) => id)));
  const work: Work = { ...options, tx, applied, ids: new Map(), known, without: new Set() };
  for (const kind of ACTIVE_RECORD_KINDS) {
    // Those that others are reached through come first.
    const ordered = rows[kind].toSorted((a, b) => Number(a.jump_id != null) - Number(b.jump_id != null));
    for (const row of ordered) await applyOne(work, kind, row);
  }
  return applied;
}

async function applyOne(work: Work, kind: ActiveRecordKind, row: RecordRow): Promise<void> {
  const { tx, applied, ids, elsewhere } = work;
  const label = `${kind.slice(0, -1)} ${String(row.name)}`;
  const skip = (why: string): void => {
    work.without.add(row.id);
    applied.skipped.push(`${label} (${why})`);
  };
  const wanted = here(work, kind, row);
  if (!wanted) return skip('what it belongs to is not there');
  const found = await tx.projectRecords.find(kind, wanted);
  // The same name alone: one that the backup knows under its own id is not the one that is meant.
  if (found && found.id !== wanted.id && work.known.has(found.id))
    return skip("its name is another one's now");
  // It is the workers' own machine, and who may use it is decided where it is made.
  if (!found && elsewhere && row.kind === 'local') return skip('a server of kind local is not copied');
  if (!found && kind === 'destinations' && (await isPlaceTaken(tx, wanted))) {
    return skip('its place is, or holds, that of another destination or what a service backs up');
  }
  ids.set(row.id, found?.id ?? wanted.id);
  if (!found) {
    const made = kind === 'schedules' ? { ...wanted, notification: notificationOf(null, wanted) } : wanted;
    await tx.projectRecords.insert(kind, made, othersOf(kind, work.at));
    applied.created[kind].push(String(row.name));
    if (lacksCredentials(row, wanted)) applied.withoutCredentials.push(String(row.name));
    return;
  }
  const change = changeOf(kind, found, wanted);
  if (isDeepStrictEqual(change, found)) return;
  // A destination is every project's, and what is another project's own is for that one to say.
  if (work.mode !== 'all' || elsewhere || kind === 'destinations') {
    applied.left.push(label);
    return;
  }
  if (await tx.projectRecords.isNameTaken(kind, change)) {
    applied.left.push(`${label} (the name is another one's now)`);
    return;
  }
  await tx.projectRecords.update(kind, change);
  applied.changed.push(label);
}

/** The record as it would be in this project; null where what it belongs to is not there. */
function here(work: Work, kind: ActiveRecordKind, row: RecordRow): RecordRow | null {
  const { ids, projectId, elsewhere } = work;
  if (refersTo(kind, row).some((id) => work.without.has(id))) return null;
  const mapped = (id: unknown): unknown => (typeof id === 'string' ? (ids.get(id) ?? id) : id);
  switch (kind) {
    case 'destinations':
      return { ...row, is_default: false };
    case 'servers': {
      const own = elsewhere ? { id: uuidv7(), project_id: projectId, sealed: null } : {};
      return { ...row, jump_id: mapped(row.jump_id), ...own };
    }
    case 'services': {
      const server = typeof row.server_id === 'string' ? ids.get(row.server_id) : undefined;
      if (server === undefined) return null;
      const { databasePassword, ...settings } = row.settings as Record<string, unknown>;
      // It is bound to the server's id, and opens nowhere else.
      const password = server === row.server_id && databasePassword !== undefined ? { databasePassword } : {};
      const own = elsewhere ? { id: uuidv7() } : {};
      return { ...row, ...own, server_id: server, settings: { ...settings, ...password } };
    }
    case 'schedules': {
      const own = elsewhere ? { id: uuidv7(), project_id: projectId } : {};
      return {
        ...{ ...row, ...own, enabled: false },
        server_id: mapped(row.server_id),
        destination_id: mapped(row.destination_id),
        copy_to: ((row.copy_to ?? []) as unknown[]).map(mapped),
        services: (row.services as unknown[]).map(mapped),
      };
    }
  }
}

async function isPlaceTaken(tx: Work['tx'], { id, name, type, config }: RecordRow): Promise<boolean> {
  const destination = { id, name, type, config } as Parameters<typeof checkPlace>[1];
  try {
    await checkPlace(tx, destination);
    return false;
  } catch (error) {
    if (error instanceof AppError && error.code === 'CONFLICT') return true;
    throw error;
  }
}

/** By the backup's ids. */
function refersTo(kind: ActiveRecordKind, row: RecordRow): string[] {
  const { jump_id, server_id, destination_id, copy_to, services } = row;
  const lists = kind === 'schedules' ? [copy_to ?? [], services] : [];
  const all: unknown[] = [jump_id, server_id, destination_id, ...lists.flat()];
  return all.filter((id) => typeof id === 'string');
}

function othersOf(kind: ActiveRecordKind, at: Date): Record<string, unknown> {
  if (kind === 'schedules') return { active_since: at, created_at: at, updated_at: at };
  return { created_at: at, updated_at: at };
}

function lacksCredentials(row: RecordRow, wanted: RecordRow): boolean {
  const password = (one: RecordRow): unknown =>
    (one.settings as Record<string, unknown> | undefined)?.databasePassword;
  return (
    (row.sealed != null && wanted.sealed == null) ||
    (password(row) !== undefined && password(wanted) === undefined)
  );
}
