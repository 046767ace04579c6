import { Type } from 'typebox';
import { nullable, strict, Timestamp, Uuid } from '../shapes.ts';

const fields = {
  id: Uuid,
  backup_id: Uuid,
  server_id: nullable(Uuid),
  restore_type: Type.Enum(['full', 'selective']),
  status: Type.String(),
  progress_percentage: Type.Integer({ minimum: 0, maximum: 100 }),
  current_step: Type.String(),
  services_to_restore: Type.Array(Type.String()),
  services_restored: Type.Array(Type.String()),
  services_failed: Type.Array(Type.String()),
  error_message: nullable(Type.String()),
  started_at: nullable(Timestamp),
  completed_at: nullable(Timestamp),
  server_name: nullable(Type.String()),
  server_ip: nullable(Type.String()),
};

export const ListQuery = strict({ limit: Type.Integer({ minimum: 1, maximum: 100, default: 50 }) });
export const ListAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  data: Type.Array(strict(fields)),
  count: Type.Integer({ minimum: 0 }),
});

export const GetAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  data: strict({
    ...fields,
    rollback_path: nullable(Type.String({ description: 'The folder on the server that holds the way back' })),
    rollback_expires_at: nullable(Timestamp),
    backup_type: Type.String(),
    record_notices: Type.Array(Type.String({ description: 'What was made of the project’s own records' })),
    audit_logs: Type.Array(
      strict({
        step_number: Type.Integer(),
        step_name: Type.String(),
        status: Type.String(),
        message: Type.String(),
        details: nullable(Type.Object({}, { additionalProperties: true, description: 'By step' })),
        started_at: nullable(Timestamp),
        completed_at: nullable(Timestamp),
        duration_ms: nullable(Type.Integer()),
      }),
    ),
  }),
});

export const RollbackAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  data: strict({
    rollbackJobId: Uuid,
    restoreJobId: Uuid,
    status: Type.String(),
    servicesRestored: Type.Array(Type.String({ description: 'Services whose old files are back' })),
    duration: nullable(Type.Integer({ description: 'milliseconds' })),
    warnings: Type.Array(Type.String()),
  }),
});
