/** Document 5's words for scheduled jobs. */
import { type Static, Type } from 'typebox';
import { CopyTo } from '../../routes/backups/copies-schemas.ts';
import { Name, nullable, ProjectId, strict, Timestamp, Uuid } from '../../routes/shapes.ts';
import { Count } from './destination-schemas.ts';
import { Components } from './execution-schemas.ts';

export const JobBody = strict({
  name: Name,
  schedule_type: Type.Enum(['cron', 'interval', 'manual'], {
    description: '`manual`: it runs only when it is triggered',
  }),
  schedule_value: Type.Optional(
    Type.String({
      maxLength: 200,
      description:
        'Of `cron`: five fields; of `interval`: `unit:value` (seconds, minutes, hours, days, weeks), such as `minutes:15`; left out of `manual`',
    }),
  ),
  time_zone: Type.Optional(Type.String({ maxLength: 100, default: 'UTC', description: 'Of a cron pattern' })),
  enabled: Type.Optional(Type.Boolean({ default: true, description: 'false: it begins paused' })),
  destination_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Where to; left out, what is then the default destination' }),
  ),
  copy_to: CopyTo,
  components: Type.Optional(Components),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Services of this server; left out, of all' }),
  ),
  encrypt: Type.Optional(Type.Boolean({ description: 'Left out, what BACKUP_ENCRYPTION says' })),
  retention_days: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 36_500, description: 'Left out, the destination’s at that time' }),
  ),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Whose services; left out, the default project’s' }),
  ),
});
export type JobBody = Static<typeof JobBody>;

export const JobParams = strict({ job_id: Uuid });
export const ListQuery = strict({ project_id: Type.Optional(Type.Integer({ ...ProjectId })) });

const ScheduledJob = strict({
  job_id: Uuid,
  name: Type.String(),
  schedule_type: Type.Enum(['cron', 'interval', 'manual']),
  schedule_value: nullable(Type.String()),
  time_zone: Type.String(),
  status: Type.Enum(['active', 'paused']),
  next_run: nullable(Timestamp),
  last_run: nullable(Timestamp),
  last_status: nullable(Type.String()),
  last_execution_id: nullable(Uuid),
  last_error: nullable(
    Type.Object({ code: Type.String(), message: Type.String() }, { additionalProperties: false }),
  ),
  total_runs: Count,
  successful_runs: Count,
  failed_runs: Count,
  running: Type.Boolean(),
  destination_id: nullable(Uuid),
  copy_to: Type.Array(Uuid),
  components: nullable(Type.Array(Type.String())),
  server_id: nullable(Uuid),
  encrypt: Type.Boolean(),
  retention_days: nullable(Count),
  project_id: ProjectId,
  created_at: Timestamp,
});

export const JobsAnswer = strict({
  success: Type.Literal(true),
  data: strict({ jobs: Type.Array(ScheduledJob) }),
});
export const JobAnswer = strict({
  success: Type.Literal(true),
  data: ScheduledJob,
  message: Type.String(),
});
