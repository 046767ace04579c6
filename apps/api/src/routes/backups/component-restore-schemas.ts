import { type Static, Type } from 'typebox';
import { NotificationBody } from '../../notifier/notification.ts';
import { nullable, strict, Timestamp, Uuid } from '../shapes.ts';
import { FromDestination } from './copies-schemas.ts';
import { PreviewData } from './preview-schemas.ts';

const Count = Type.Integer({ minimum: 0 });
const Texts = Type.Array(Type.String());

/** Document 2's restore, with whose services where several servers are in the backup. */
export const ComponentRestoreBody = strict({
  backup_id: Uuid,
  components: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 60 }), {
      minItems: 1,
      maxItems: 100,
      description: 'Services of these components; left out, all that the backup holds',
    }),
  ),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Only services that were backed up from this server' }),
  ),
  destination_id: FromDestination,
  target_environment: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,39}$',
      description:
        'The label of the server to restore to (production, staging, development, ...); left out, the one that was backed up',
    }),
  ),
  restore_options: Type.Optional(
    strict({
      database: Type.Optional(
        strict({
          drop_existing: Type.Optional(
            Type.Boolean({
              default: false,
              description:
                'true: databases that exist make way for those of the backup; false: they make the restore fail before anything is changed',
            }),
          ),
          point_in_time: Type.Optional(Timestamp),
        }),
      ),
      files: Type.Optional(
        strict({
          overwrite_existing: Type.Optional(
            Type.Boolean({
              description:
                'true: what is restored takes the place of what is there; false leaves as it is what exists. Left out, true for the original paths, false with restore_path',
            }),
          ),
          restore_path: Type.Optional(
            Type.String({
              pattern: '^/',
              maxLength: 4000,
              description: 'The folder below which the whole paths are put; left out, the original paths',
            }),
          ),
        }),
      ),
    }),
  ),
  dry_run: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'true: look whether and what a restore would change, and change nothing',
    }),
  ),
  notification: Type.Optional(NotificationBody),
});
export type ComponentRestoreBody = Static<typeof ComponentRestoreBody>;

export const ComponentRestoreAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    restore_id: Uuid,
    backup_id: Uuid,
    status: Type.Enum(['in_progress', 'completed', 'validated', 'invalid']),
    started_at: Timestamp,
    estimated_duration_seconds: nullable(Count),
    progress_url: Type.String(),
    warnings: Texts,
    /** With dry_run alone, once a worker has looked. */
    preview: Type.Optional(PreviewData),
  }),
  message: Type.String(),
});

export type ComponentRestoreAnswer = Static<typeof ComponentRestoreAnswer>;

export const RestoreStatusParams = strict({ restore_id: Uuid });
export const RestoreStatusAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    restore_id: Uuid,
    backup_id: Uuid,
    status: Type.Enum(['in_progress', 'completed', 'failed', 'rolled_back']),
    progress_percent: Type.Integer({ minimum: 0, maximum: 100 }),
    current_phase: Type.String(),
    started_at: Timestamp,
    elapsed_seconds: Count,
    estimated_remaining_seconds: nullable(Count),
    bytes_restored: Count,
    total_bytes: nullable(Count),
    current_operation: Type.String(),
    phases_completed: Texts,
    phases_remaining: Texts,
    warnings: Texts,
    errors: Texts,
  }),
});
