import { Type } from 'typebox';
import { nullable, ProjectId, strict, Timestamp } from '../shapes.ts';
import { PERIODS } from './period.ts';

const Count = Type.Integer({ minimum: 0 });
const Percent = nullable(Type.Number({ minimum: 0, description: 'Null where there is nothing to count' }));

export const StatisticsQuery = strict({
  period: Type.Enum([...PERIODS], {
    default: 'month',
    description: 'The day, week (from Monday), month or year in UTC',
  }),
  date: Type.Optional(
    Type.String({ maxLength: 40, description: 'In the period that is meant (ISO 8601); left out: now' }),
  ),
  project_id: Type.Optional(Type.Integer({ ...ProjectId, description: 'Only of this project' })),
});

export const StatisticsAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    period: Type.Enum([...PERIODS]),
    start_date: Timestamp,
    end_date: Timestamp,
    summary: strict({
      total_backups: Count,
      successful_backups: Count,
      failed_backups: Type.Integer({ minimum: 0, description: 'Partial ones included' }),
      partial_backups: Count,
      cancelled_backups: Type.Integer({ minimum: 0, description: 'In no other count' }),
      in_progress_backups: Type.Integer({ minimum: 0, description: 'In no other count' }),
      success_rate: Percent,
      total_size_bytes: Count,
      total_size_formatted: Type.String(),
      average_backup_size_bytes: nullable(Count),
      average_duration_seconds: nullable(Count),
      total_storage_used_bytes: Count,
      total_storage_used_formatted: Type.String(),
    }),
    by_type: Type.Record(
      Type.String(),
      strict({
        count: Count,
        success_rate: Percent,
        average_size_bytes: nullable(Count),
        average_duration_seconds: nullable(Count),
      }),
    ),
    retention_compliance: strict({
      backups_expired: Count,
      backups_deleted: Count,
      compliance_rate: Percent,
    }),
    storage_locations: Type.Record(
      Type.String(),
      strict({ backups_count: Count, size_bytes: Count, utilization_percent: Percent }),
    ),
  }),
});
