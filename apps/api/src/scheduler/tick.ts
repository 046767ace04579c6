import type { Database, Repositories, ScheduleRecord, ScheduleRunRecord } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { Dispatcher, RunDraft } from '../dispatcher.ts';
import { tellNotBegun } from '../notifier/outbox.ts';
import { planBackup } from '../planner/backup.ts';
import type { PlanKeys } from '../planner/targets.ts';
import { lateAlert } from './alerts.ts';
import { auditTick } from './audit-tick.ts';
import type { DueTimes } from './due-times.ts';
import { toBackupRequest } from './to-backup-request.ts';
import { type DueWindow, windowOf } from './window.ts';

export interface TickDeps {
  db: Database;
  keys: PlanKeys;
  dispatcher: Pick<Dispatcher, 'store'>;
  /** Hands what is stored to the queue. */
  send(draft: RunDraft): void;
  logger: Logger;
  timesOf(schedule: ScheduleRecord): DueTimes;
}

/** What became of a time at which a schedule was due. */
type Outcome = Pick<ScheduleRunRecord, 'status' | 'backupId' | 'errorCode' | 'errorMessage'>;

/** Codes of what is in somebody's way: there is nothing wrong with the schedule. */
const BUSY = new Set(['BACKUP_IN_PROGRESS', 'RESTORE_IN_PROGRESS']);
/** Codes of what may have passed in a moment. */
const PASSING = new Set(['CONFLICT', 'ENCRYPTION_KEY_NOT_FOUND']);

/**
 * Deals with a schedule that is due: in one transaction its run is stored, the backup with its jobs and leases, and
 * the next time. So whatever dies, and however many do this at once, each time has one run. `patient` is for a while
 * true: what may pass is then left for the next look. Rejects when the database is away; the schedule stays due.
 */
export async function tick(deps: TickDeps, id: string, now: Date, patient: boolean): Promise<boolean> {
  const schedule = await deps.db.schedules.get(id);
  if (!schedule?.nextAt || schedule.nextAt > now) return true;
  const window = windowOf(deps.timesOf(schedule), schedule.nextAt, now);
  const claim: Claim = { schedule, window, now };
  if (!schedule.catchUp && now.getTime() - window.due.getTime() > schedule.maxLatenessSeconds * 1000) {
    await settle(deps, claim, MISSED);
    return true;
  }
  try {
    await start(deps, claim);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'UNAVAILABLE') throw error;
    if (patient && error instanceof AppError && PASSING.has(error.code)) return false;
    await settle(deps, claim, outcomeOf(deps.logger, schedule, error));
    return true;
  }
}

interface Claim {
  schedule: ScheduleRecord;
  window: DueWindow;
  now: Date;
}

const MISSED: Outcome = {
  status: 'missed',
  backupId: null,
  errorCode: null,
  errorMessage: 'It was noticed too late, and catch_up is off.',
};

async function start(deps: TickDeps, claim: Claim): Promise<void> {
  const { schedule, window } = claim;
  const runId = uuidv7();
  // Reads alone, as for a request: what must not have changed meanwhile is looked at again when it is stored.
  const draft = await planBackup(deps, toBackupRequest(schedule, runId));
  const backupId = draft.root.id;
  const outcome: Outcome = { status: 'in_progress', backupId, errorCode: null, errorMessage: null };
  if (!(await settle(deps, claim, outcome, { runId, draft }))) return;
  deps.logger.info(
    { scheduleId: schedule.id, backupId, dueAt: window.due, missed: window.missed },
    'schedule due',
  );
  deps.send(draft);
}

/** False when that time has been dealt with already, or the schedule was changed: then nothing is done but to go on. */
async function settle(
  { db, dispatcher, logger }: TickDeps,
  { schedule, window, now }: Claim,
  outcome: Outcome,
  begun?: { runId: string; draft: RunDraft },
): Promise<boolean> {
  const run: ScheduleRunRecord = {
    id: begun?.runId ?? uuidv7(),
    scheduleId: schedule.id,
    dueAt: window.due,
    missed: window.missed,
    missedSince: window.missedSince,
    startedAt: now,
    endedAt: begun ? null : now,
    ...outcome,
  };
  const late = lateAlert(schedule, now);
  const [done, raised] = await db.transaction(async (tx) => {
    if (!(await stillDue(tx, schedule, now))) return [false, false];
    await tx.schedules.advance(schedule.id, window.next);
    // Dealt with before: the clock has been put back.
    if (!(await tx.scheduleRuns.add(run))) return [false, false];
    if (begun) await dispatcher.store(tx, begun.draft);
    else await tellNotBegun(tx, schedule, run);
    await tx.auditLog.add(auditTick(schedule, run));
    return [true, late !== null && (await tx.scheduleAlerts.raise(late))];
  });
  if (raised) logger.warn({ scheduleId: schedule.id, kind: 'late', dueAt: late?.dueAt }, 'backup overdue');
  return done;
}

async function stillDue(tx: Repositories, before: ScheduleRecord, now: Date): Promise<boolean> {
  const schedule = await tx.schedules.lockDue(before.id, now);
  return schedule?.updatedAt.getTime() === before.updatedAt.getTime();
}

function outcomeOf(logger: Logger, { id }: ScheduleRecord, error: unknown): Outcome {
  if (error instanceof AppError) {
    const status = BUSY.has(error.code) ? 'skipped' : 'failed';
    logger.warn({ err: error, scheduleId: id, status }, 'schedule due, no backup begun');
    return { status, backupId: null, errorCode: error.code, errorMessage: error.message };
  }
  logger.error({ err: error, scheduleId: id }, 'schedule due, no backup begun');
  const errorMessage = 'The backup could not be planned; the log of the API says why.';
  return { status: 'failed', backupId: null, errorCode: 'INTERNAL', errorMessage };
}
