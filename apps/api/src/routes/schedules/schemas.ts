import { Notification, RetentionPolicy } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { NotificationBody } from '../../notifier/notification.ts';
import { CopyTo } from '../backups/copies-schemas.ts';
import { Name, nullable, one, ProjectId, strict, Timestamp, Uuid } from '../shapes.ts';

const Names = (maxItems: number, description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      ...{ minItems: 1, maxItems, uniqueItems: true, description },
    }),
  );
const Flag = (value: boolean, description: string) =>
  Type.Optional(Type.Boolean({ default: value, description }));

/** A schedule that works is told of only when that is asked for. */
const ScheduleNotification = strict({
  ...NotificationBody.properties,
  on_success: Flag(false, 'Tell of one that completed'),
});

const ScheduleBody = strict({
  name: Name,
  type: Type.String({ maxLength: 40, description: '`full`, `incremental` or `differential`' }),
  enabled: Flag(true, 'False pauses it: nothing is due, and what would have been is not made up for'),
  cron: Type.String({
    maxLength: 200,
    description: 'Minute, hour, day of the month, month, day of the week, as in `0 2 * * 0`',
  }),
  time_zone: Type.Optional(
    Type.String({ maxLength: 100, default: 'UTC', description: 'Of the IANA database: Europe/Berlin' }),
  ),
  catch_up: Flag(
    true,
    'Whether a time that passed while no API process ran is made up for: by one backup, however many times passed',
  ),
  max_lateness_seconds: Type.Optional(
    Type.Integer({
      ...{ minimum: 60, maximum: 31_536_000, default: 900 },
      description:
        'A backup that has not begun so long after its time is overdue; without catch_up it is not made any more',
    }),
  ),
  components: Names(100, 'Services with one of these components; left out, all'),
  services: Names(1000, 'Ids or names of services; left out, all'),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Services of this server; left out, of all' }),
  ),
  destination_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Where to; left out, what is then the default destination' }),
  ),
  copy_to: CopyTo,
  retention_days: Type.Optional(
    Type.Integer({
      ...{ minimum: 1, maximum: 36_500 },
      description: 'Left out, 90; with `retention`, none: then that alone decides',
    }),
  ),
  retention: Type.Optional(
    Type.Object(RetentionPolicy.properties, {
      ...{ additionalProperties: false, minProperties: 1 },
      description: 'What is kept of its backups, in place of what the project says',
    }),
  ),
  encrypt: Flag(true, 'With the primary key of the workers’ keyring'),
  verify: Flag(true, 'Read every archive back before the backup counts as made'),
  compress: Flag(true, 'Whether archives are compressed'),
  compression_level: Type.Optional(Type.Integer({ minimum: 1, maximum: 9, default: 6 })),
  deduplicate: Flag(false, 'Whether files of equal content and attributes are stored once'),
  notification: Type.Optional(ScheduleNotification),
});
export type ScheduleBody = Static<typeof ScheduleBody>;

export const ConfigureBody = strict({
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Whose schedules; left out, the default project’s' }),
  ),
  schedules: Type.Array(ScheduleBody, { minItems: 1, maxItems: 100 }),
});
export type ConfigureBody = Static<typeof ConfigureBody>;

export const ConfigureAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    schedules_configured: Type.Integer({ minimum: 1 }),
    next_backup: nullable(
      Type.Object(
        { schedule_name: Type.String(), scheduled_time: Timestamp },
        { additionalProperties: false, description: 'The project’s next; null when all are paused' },
      ),
    ),
    schedules: Type.Array(strict({ id: Uuid, name: Type.String(), next_run: nullable(Timestamp) })),
  }),
  message: Type.String(),
});

const Count = Type.Integer({ minimum: 0 });
const Failure = nullable(
  Type.Object({ code: Type.String(), message: Type.String() }, { additionalProperties: false }),
);
const RUN_STATUSES = [
  ...['in_progress', 'completed', 'partial', 'failed', 'cancelled', 'skipped', 'missed'],
] as const;

const schedule = {
  id: Uuid,
  name: Type.String(),
  type: Type.String(),
  enabled: Type.Boolean(),
  cron: nullable(Type.String({ description: 'Null for one that is due by interval, or by hand alone' })),
  interval: nullable(Type.String({ description: '`hours:24`; of schedules made under /api/admin/backup' })),
  next_run: nullable(Timestamp),
  last_run: nullable(Timestamp),
  last_status: nullable(
    Type.String({
      enum: [...RUN_STATUSES],
      description:
        'As the backup’s; `skipped`: another job had the services; `missed`: noticed too late, without catch_up',
    }),
  ),
  total_runs: Count,
  successful_runs: Count,
  failed_runs: Type.Integer({ minimum: 0, description: 'All that ended without a complete backup' }),
  running: Type.Boolean(),
  partial_runs: Count,
  skipped_runs: Count,
  missed_runs: Count,
  last_backup_id: nullable(Uuid),
  last_error: Failure,
  alerts: Type.Array(
    strict({
      kind: Type.Enum(['late', 'no_success']),
      due_at: Timestamp,
      raised_at: Timestamp,
      message: Type.String(),
    }),
    { description: 'Backups that should have been there and are not, until one succeeds' },
  ),
  project_id: ProjectId,
  time_zone: Type.String(),
  catch_up: Type.Boolean(),
  max_lateness_seconds: Count,
  components: nullable(Type.Array(Type.String())),
  services: nullable(Type.Array(Type.String())),
  server_id: nullable(Uuid),
  destination_id: nullable(Uuid),
  copy_to: Type.Array(Uuid),
  retention_days: nullable(Count),
  retention: nullable(RetentionPolicy),
  encrypt: Type.Boolean(),
  verify: Type.Boolean(),
  compress: Type.Boolean(),
  compression_level: Count,
  deduplicate: Type.Boolean(),
  notification: nullable(Notification),
  created_at: Timestamp,
  updated_at: Timestamp,
};

const Run = strict({
  due_at: Timestamp,
  status: Type.Enum([...RUN_STATUSES]),
  backup_id: nullable(Uuid),
  triggered: Type.Boolean({ description: 'Somebody asked for it: it was not due' }),
  missed: Type.Integer({ minimum: 0, description: 'Earlier times that this run makes up for' }),
  missed_since: nullable(Timestamp),
  started_at: Timestamp,
  ended_at: nullable(Timestamp),
  error: Failure,
});

export const ListQuery = strict({ project_id: Type.Optional(Type.Integer({ ...ProjectId })) });
export const SchedulesAnswer = one(strict({ schedules: Type.Array(strict(schedule)) }));
export const ScheduleAnswer = one(strict({ ...schedule, runs: Type.Array(Run) }));
