import type { Notification } from '@tarfleet/contracts';
import type { Database, Repositories, ScheduleDraft, ScheduleRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { type NotificationRules, readNotification } from '../../notifier/notification.ts';
import { checkCopies } from '../../planner/choose-destinations.ts';
import { findServices } from '../../planner/choose-services.ts';
import { type Fault, invalid } from '../../plugins/faults.ts';
import { checkPolicy } from '../../retention/check-policy.ts';
import { createCronTimes } from '../../scheduler/cron-times.ts';
import type { DueTimes } from '../../scheduler/due-times.ts';
import { assertType } from '../backups/normalise.ts';
import type { ScheduleBody } from './schemas.ts';

export interface ConfigureDeps {
  db: Database;
  /** What time it is; the scheduler's own clock. */
  clock(): Promise<Date>;
  notifications: NotificationRules;
}

interface Read {
  body: ScheduleBody;
  times: DueTimes;
  notification: Notification | null;
}

/**
 * Makes or replaces the named schedules of a project: all, or none when anything is wrong with one. Others stay as
 * they are. Gives those named, in their order.
 */
export async function configureSchedules(
  { db, clock, notifications }: ConfigureDeps,
  projectId: number,
  bodies: ScheduleBody[],
): Promise<ScheduleRecord[]> {
  const read: Read[] = [];
  for (const [index, one] of readAll(bodies).entries()) {
    const path = `body/schedules/${index}/notification`;
    const wish = one.body.notification && { on_success: false, ...one.body.notification };
    read.push({ ...one, notification: await readNotification(notifications, wish, path) });
  }
  const now = await clock();
  return db.transaction(async (tx) => {
    // A deletion that looks at the policies now is over before they change, or sees them changed.
    await tx.retention.hold(projectId, null);
    const stored = new Map<string, ScheduleRecord>();
    // In one order everywhere: two that name the same never wait for each other.
    for (const one of [...read].sort((a, b) => (a.body.name < b.body.name ? -1 : 1))) {
      await assertKnown(tx, projectId, one.body);
      stored.set(one.body.name, await store(tx, projectId, one, now));
    }
    return bodies.flatMap(({ name }) => stored.get(name) ?? []);
  });
}

/** What the bodies alone tell; every fault at once. */
function readAll(bodies: ScheduleBody[]): Omit<Read, 'notification'>[] {
  const faults: Fault[] = [];
  const read = bodies.flatMap((body, index) => {
    const path = `body/schedules/${index}`;
    if (bodies.findIndex(({ name }) => name === body.name) < index) {
      faults.push({ path: `${path}/name`, message: 'is the name of one before it' });
    }
    if (body.retention) checkPolicy(body.retention, `${path}/retention`);
    assertType(body.type);
    if (body.type === 'transaction') {
      throw new AppError(
        'NOT_SUPPORTED',
        'type: transaction is not supported by this version yet. Use full, incremental or differential.',
      );
    }
    try {
      createCronTimes('0 0 * * *', zoneOf(body));
    } catch (error) {
      faults.push({ path: `${path}/time_zone`, message: faultOf(error) });
      return [];
    }
    try {
      return [{ body, times: createCronTimes(body.cron, zoneOf(body)) }];
    } catch (error) {
      faults.push({ path: `${path}/cron`, message: faultOf(error) });
      return [];
    }
  });
  if (faults.length > 0) throw invalid(faults);
  return read;
}

function faultOf(error: unknown): string {
  if (error instanceof AppError && error.code === 'VALIDATION_FAILED')
    return `is not valid: ${error.message}`;
  throw error;
}

async function assertKnown(tx: Repositories, projectId: number, body: ScheduleBody): Promise<void> {
  const named = (error: AppError): AppError =>
    new AppError(error.code, `Schedule ${body.name}: ${error.message}`, { details: error.details });
  try {
    await findServices(tx, {
      projectId,
      serverId: body.server_id ?? null,
      components: body.components ?? null,
      services: body.services ?? null,
    });
  } catch (error) {
    throw error instanceof AppError && error.code !== 'UNAVAILABLE' ? named(error) : error;
  }
  const { destination_id: id, copy_to: copyTo = [] } = body;
  if (id !== undefined && !(await tx.destinations.get(id))) {
    throw named(new AppError('NOT_FOUND', `There is no destination ${id}.`));
  }
  await checkCopies(tx, id ?? null, copyTo).catch((error: unknown) => {
    throw error instanceof AppError && error.code !== 'UNAVAILABLE' ? named(error) : error;
  });
}

async function store(
  tx: Repositories,
  projectId: number,
  { body, times, notification }: Read,
  now: Date,
): Promise<ScheduleRecord> {
  const before = await tx.schedules.lockNamed(projectId, body.name);
  const draft: ScheduleDraft = {
    projectId,
    name: body.name,
    type: body.type,
    enabled: body.enabled ?? true,
    cron: body.cron,
    timeZone: zoneOf(body),
    catchUp: body.catch_up ?? true,
    maxLatenessSeconds: body.max_lateness_seconds ?? 900,
    components: body.components ?? [],
    services: body.services ?? [],
    serverId: body.server_id ?? null,
    destinationId: body.destination_id ?? null,
    copyTo: body.copy_to ?? [],
    retentionDays: body.retention_days ?? (body.retention ? null : 90),
    retention: body.retention ?? null,
    encrypt: body.encrypt ?? true,
    verify: body.verify ?? true,
    compress: body.compress ?? true,
    compressionLevel: body.compression_level ?? 6,
    deduplicate: body.deduplicate ?? false,
    notification,
    ...expectations(body, times, before, now),
  };
  if (!before) return tx.schedules.create(draft);
  if (!draft.enabled) await tx.scheduleAlerts.resolve(before.id, now, now);
  return tx.schedules.replace(before.id, draft);
}

/** When it is due next, and since when backups are expected of it. */
function expectations(
  body: ScheduleBody,
  times: DueTimes,
  before: ScheduleRecord | null,
  now: Date,
): Pick<ScheduleRecord, 'nextAt' | 'activeSince'> {
  if (body.enabled === false) return { nextAt: null, activeSince: now };
  const same = before?.cron === body.cron && before.timeZone === zoneOf(body);
  if (before?.nextAt && same) return { nextAt: before.nextAt, activeSince: before.activeSince };
  // What is due at this moment stays due, whatever is said of the times to come.
  const nextAt = before?.nextAt && before.nextAt <= now ? before.nextAt : times.next(now);
  return { nextAt, activeSince: now };
}

function zoneOf(body: ScheduleBody): string {
  return body.time_zone ?? 'UTC';
}
