import type { Database, DestinationRecord, Repositories } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import { toBackupWish } from './dialects/tacacs/to-backup-wish.ts';
import type { Dispatcher, RunDraft } from './dispatcher.ts';
import type { ApiConfig } from './env.ts';
import { planBackup } from './planner/backup.ts';
import type { PlanKeys } from './planner/targets.ts';
import { systemEntry } from './retention/system-entry.ts';

const ALIVE_MS = 10_000;
const AGAIN_MS = 2_000;
/** What may pass is given so long: a worker that has not told of its key yet, a backup that is ending. */
const PATIENCE_MS = 60_000;
const PASSING = new Set([
  ...['UNAVAILABLE', 'CONFLICT', 'ENCRYPTION_KEY_NOT_FOUND'],
  ...['BACKUP_IN_PROGRESS', 'RESTORE_IN_PROGRESS'],
]);

export interface StartupOptions {
  db: Database;
  keys: PlanKeys;
  dispatcher: Pick<Dispatcher, 'store' | 'sendStored'>;
  config: Pick<ApiConfig, 'BACKUP_ENCRYPTION'>;
  logger: Logger;
}

/**
 * One backup of the default project when a deployment starts: when the first of its API processes does, not each.
 * That this process is the first, and the backup, are stored in one transaction. Stopping waits for what is in hand.
 */
export function startStartupBackup(options: StartupOptions): { stop(): Promise<void> } {
  const { db, logger } = options;
  const id = uuidv7();
  const begun = performance.now();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let entered = false;

  const look = async (): Promise<void> => {
    try {
      if (entered) await db.apiProcesses.seen(id);
      else entered = await enter(options, id, performance.now() - begun < PATIENCE_MS);
    } catch (error) {
      logger.warn({ err: error }, 'backup at start: tried again');
    }
  };
  let inHand: Promise<void> = Promise.resolve();
  const next = (ms: number): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      inHand = look().then(() => next(entered ? ALIVE_MS : AGAIN_MS));
    }, ms);
  };
  next(0);
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await inHand;
      if (entered) await db.apiProcesses.leave(id);
    },
  };
}

/** True when it is over: the backup is begun, or it is another process's, or there can be none. */
export async function enter(options: StartupOptions, id: string, patient: boolean): Promise<boolean> {
  const { db, dispatcher, logger } = options;
  let draft: RunDraft | null = null;
  try {
    draft = await plan(options, id);
    const planned = draft;
    const isFirst = await db.transaction(async (tx) => {
      if (!(await tx.apiProcesses.enter(id))) return false;
      await dispatcher.store(tx, planned);
      await note(tx, planned, id);
      return true;
    });
    if (!isFirst) return true;
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'UNAVAILABLE') throw error;
    if (patient && PASSING.has(error.code)) return false;
    if (await db.transaction((tx) => tx.apiProcesses.enter(id))) {
      logger.warn({ err: error }, 'no backup is made at this start');
    }
    return true;
  }
  logger.info({ backupId: draft.root.id }, 'backup at start begun');
  await dispatcher.sendStored(draft);
  return true;
}

async function plan({ db, keys, config }: StartupOptions, id: string): Promise<RunDraft> {
  const { id: projectId } = await db.projects.ensureDefault();
  const destination = await firstEnabled(db);
  return planBackup(
    { db, keys },
    {
      ...toBackupWish({ comment: 'At start', destination_id: destination.id }, config, 'startup'),
      ...{ projectId, userId: null, scheduleId: null, requestId: `startup-${id}` },
    },
  );
}

/** The default one where it is enabled, else the first by name. */
async function firstEnabled(db: Database): Promise<DestinationRecord> {
  const enabled = (await db.destinations.all()).filter((one) => one.enabled);
  const found = enabled.find(({ isDefault }) => isDefault) ?? enabled[0];
  if (found) return found;
  throw new AppError('NOT_FOUND', 'There is no destination that is enabled.');
}

async function note(tx: Repositories, { root }: RunDraft, id: string): Promise<void> {
  const backup = { id: root.id, projectId: root.projectId };
  await tx.auditLog.add(systemEntry('backup.create', backup, `startup-${id}`, { job_id: root.id }));
}
