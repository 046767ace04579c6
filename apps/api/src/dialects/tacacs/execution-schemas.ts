/** Document 5's words for executions: backups, and what became of them. */
import { type Static, Type } from 'typebox';
import { CopyTo, CopyView } from '../../routes/backups/copies-schemas.ts';
import { JobShape } from '../../routes/jobs/schemas.ts';
import { Name, nullable, PageQuery, ProjectId, strict, Timestamp, Uuid } from '../../routes/shapes.ts';
import { Count, Pagination } from './destination-schemas.ts';

export const Components = Type.Array(Name, {
  ...{ minItems: 1, maxItems: 100, uniqueItems: true },
  description: 'Services of these; left out, all',
});

export const TriggerBody = strict({
  destination_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Where to; left out, the default destination' }),
  ),
  copy_to: CopyTo,
  comment: Type.Optional(Type.String({ maxLength: 1000 })),
  components: Type.Optional(Components),
  encrypt: Type.Optional(Type.Boolean({ description: 'Left out, what BACKUP_ENCRYPTION says' })),
  retention_days: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 36_500, description: 'Left out, the destination’s' }),
  ),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Whose services; left out, the default project’s' }),
  ),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Services of this server; left out, of all' }),
  ),
});
export type TriggerBody = Static<typeof TriggerBody>;

export const STATUSES = [
  'running',
  'completed',
  'partial',
  'failed',
  'cancelled',
  'deleting',
  'deleted',
] as const;
export const TRIGGERS = ['manual', 'schedule', 'startup', 'emergency'] as const;

const Failure = nullable(
  Type.Object({ code: Type.String(), message: Type.String() }, { additionalProperties: false }),
);

const listed = {
  id: Uuid,
  destination_id: nullable(Uuid),
  destination_name: nullable(Type.String()),
  status: Type.Enum([...STATUSES]),
  triggered_by: Type.Enum([...TRIGGERS]),
  schedule_id: nullable(Uuid),
  type: Type.String(),
  comment: nullable(Type.String()),
  created_by: nullable(Type.String()),
  backup_path: Type.String({ description: 'Below the destination; POST .../restore takes it' }),
  components: Type.Array(Type.String()),
  size_bytes: Count,
  file_count: Count,
  record_count: nullable(
    Type.Integer({ minimum: 0, description: 'Of databases; null where that is not known' }),
  ),
  encrypted: Type.Boolean(),
  verified: Type.Boolean(),
  manifest: nullable(
    Type.Object({ path: Type.String(), checksum: Type.String() }, { additionalProperties: false }),
  ),
  started_at: Timestamp,
  completed_at: nullable(Timestamp),
  duration_seconds: nullable(Count),
  retention_until: nullable(Timestamp),
  locked_until: nullable(Timestamp),
  error: Failure,
  copies: Type.Array(CopyView, { description: 'Its further destinations' }),
  project_id: ProjectId,
};
const Execution = strict(listed);

export const TriggerAnswer = strict({
  success: Type.Literal(true),
  data: strict({ execution_id: Uuid, ...listed, warnings: Type.Array(Type.String()) }),
  message: Type.String(),
});

const paging = {
  ...PageQuery,
  destination_id: Type.Optional(Uuid),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Only of this project; left out, of all' }),
  ),
};
export const ListQuery = strict({ ...paging, status: Type.Optional(Type.Enum([...STATUSES])) });
export const ListAnswer = strict({
  success: Type.Literal(true),
  data: strict({ executions: Type.Array(Execution), pagination: Pagination }),
});

export const BackupsQuery = strict(paging);
export const BackupsAnswer = strict({
  success: Type.Literal(true),
  data: strict({ backups: Type.Array(Execution), pagination: Pagination }),
});

export const GetAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    ...listed,
    services: Type.Array(
      strict({
        ...{ id: Uuid, name: Type.String(), component: Type.String(), server: Type.String() },
        ...{ status: Type.String(), size_bytes: nullable(Count), file_count: nullable(Count) },
        table_count: nullable(Count),
        record_count: nullable(Count),
        checksum: nullable(Type.String()),
        error: Failure,
      }),
    ),
    progress: nullable(JobShape.properties.progress),
    steps: JobShape.properties.steps,
    log: Type.Array(strict({ at: Timestamp, service: nullable(Type.String()), message: Type.String() })),
    warnings: Type.Array(Type.String()),
  }),
});
