import { type Static, Type } from 'typebox';
import { IdParams, nullable, PageQuery, ProjectId, strict, Timestamp, Uuid } from '../shapes.ts';
import { CopyView } from './copies-schemas.ts';

const Count = Type.Integer({ minimum: 0 });

const Day = 'ISO 8601, in UTC where no zone is named';
export const ListQuery = strict({
  ...PageQuery,
  type: Type.Optional(
    Type.String({ maxLength: 40, description: 'Only of this type: full, incremental, differential' }),
  ),
  status: Type.Optional(
    Type.Enum(['completed', 'in_progress', 'failed', 'partial', 'cancelled', 'deleting'], {
      description: 'Only with this status; left out, all of these',
    }),
  ),
  start_date: Type.Optional(Type.String({ maxLength: 40, description: `Made then or later: ${Day}` })),
  end_date: Type.Optional(
    Type.String({
      maxLength: 40,
      description: `Made then or before: ${Day}; a day without a time is the whole day`,
    }),
  ),
  project_id: Type.Optional(Type.Integer({ ...ProjectId, description: 'Only of this project' })),
});
export type ListQuery = Static<typeof ListQuery>;

export const LockView = strict({
  since: Timestamp,
  until: nullable(Timestamp),
  by: nullable(Type.String()),
  reason: Type.String(),
});

const listFields = {
  id: Uuid,
  type: Type.String(),
  status: Type.String(),
  size_bytes: Count,
  size_formatted: Type.String(),
  created_at: Timestamp,
  completed_at: nullable(Timestamp),
  duration_seconds: nullable(Count),
  location: nullable(Type.String()),
  encrypted: Type.Boolean(),
  verified: Type.Boolean(),
  retention_until: nullable(Timestamp),
  locked: nullable(LockView),
  checksum: nullable(Type.String()),
};

export const ListAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    backups: Type.Array(
      strict({
        ...listFields,
        components: Type.Array(Type.String()),
        metadata: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
    total: Count,
    page: Count,
    per_page: Count,
    total_pages: Count,
  }),
});

const Fault = nullable(strict({ code: Type.String(), message: Type.String() }));

const Details = strict({
  ...listFields,
  name: nullable(Type.String()),
  description: nullable(Type.String()),
  project_id: ProjectId,
  content_bytes: Count,
  encryption_algorithm: nullable(Type.String()),
  compressed: Type.Boolean(),
  deduplicated: Type.Boolean(),
  compression_ratio: nullable(Type.Number()),
  verification_date: nullable(Timestamp),
  retention_days: nullable(Count),
  components: Type.Record(
    Type.String(),
    strict({
      size_bytes: Count,
      files_count: Type.Optional(Count),
      directories_count: Type.Optional(Count),
      tables_count: Type.Optional(nullable(Count)),
      records_count: Type.Optional(nullable(Count)),
      backup_method: Type.Optional(Type.String()),
      users_count: Type.Optional(Type.Null()),
    }),
  ),
  services: Type.Array(
    strict({
      id: Uuid,
      name: Type.String(),
      component: Type.String(),
      server_id: Uuid,
      server_name: Type.String(),
      status: Type.String(),
      paths: Type.Array(Type.String()),
      parent_id: nullable(Uuid),
      size_bytes: nullable(Count),
      content_bytes: nullable(Count),
      files_count: nullable(Count),
      warning_count: Count,
      checksum: nullable(Type.String()),
      file_path: nullable(Type.String()),
      error: Fault,
    }),
  ),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  restore_count: Count,
  last_restore_date: nullable(Timestamp),
  warnings: Type.Array(Type.String()),
  file_warnings: Type.Array(
    strict({
      service: nullable(Type.String()),
      code: Type.String(),
      message: Type.String(),
      path: nullable(Type.String()),
      path_base64: nullable(Type.String()),
    }),
  ),
  error: Fault,
  copies: Type.Array(CopyView, { description: 'Its further destinations' }),
});

/** Document 3's backup object. */
export const ObjectFields = {
  id: Uuid,
  name: nullable(Type.String()),
  description: nullable(Type.String()),
  type: Type.Enum(['manual', 'automatic']),
  status: Type.Enum(['creating', 'completed', 'partial', 'failed', 'cancelled', 'deleting', 'deleted']),
  size: Count,
  file_path: nullable(Type.String({ description: 'Where it lies, as a URL' })),
  checksum: nullable(Type.String({ description: '`sha256:` and that of the manifest' })),
  created_at: Timestamp,
  completed_at: nullable(Timestamp),
  project_id: ProjectId,
};

/** Document 2's envelope with document 3's object beside it. */
export const GetAnswer = strict({ success: Type.Literal(true), data: Details, ...ObjectFields });

export const StatusParams = strict({ backup_id: Uuid });
export const StatusAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    backup_id: Uuid,
    status: Type.String(),
    progress_percent: Type.Integer({ minimum: 0, maximum: 100 }),
    current_phase: Type.String(),
    started_at: nullable(Timestamp),
    elapsed_seconds: Count,
    estimated_remaining_seconds: nullable(Count),
    bytes_processed: Count,
    total_bytes: nullable(Count),
    files_processed: Count,
    total_files: nullable(Count),
    current_operation: Type.String(),
    phases_completed: Type.Array(Type.String()),
    phases_remaining: Type.Array(Type.String()),
    error: Fault,
  }),
});

export const DeleteQuery = strict({
  force: Type.Optional(Type.Boolean()),
  reason: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
});
export const DeleteAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    backup_id: Uuid,
    deleted_at: nullable(Timestamp),
    space_freed_bytes: nullable(Count),
    space_freed_formatted: nullable(Type.String()),
    job_id: nullable(Uuid),
  }),
  message: Type.String(),
});

export { IdParams };
