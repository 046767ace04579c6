import { RetentionPolicy } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { nullable, one, PageQuery, ProjectId, strict, Timestamp, Uuid } from '../shapes.ts';

const Count = Type.Integer({ minimum: 0 });

export const PolicyBody = RetentionPolicy;
export const PolicyAnswer = one(strict({ project_id: ProjectId, retention: nullable(RetentionPolicy) }));

const ACTIONS = ['keep', 'hide', 'delete'] as const;
export type Action = (typeof ACTIONS)[number];
const Action = Type.Enum([...ACTIONS], {
  description:
    '`hide`: later backups need what it stored, which is removed with the last of them, or it is being downloaded',
});

export const PreviewQuery = strict({
  ...PageQuery,
  action: Type.Optional(Action),
});
export type PreviewQuery = Static<typeof PreviewQuery>;

export const PreviewAnswer = one(
  strict({
    project_id: ProjectId,
    /** By the clocks of now. */
    at: Timestamp,
    totals: strict({ keep: Count, hide: Count, delete: Count }),
    backups: Type.Array(
      strict({
        backup_id: Uuid,
        created_at: Timestamp,
        status: Type.String(),
        destination_id: Uuid,
        series: Type.String({ description: 'Equal for backups of the same services at the same place' }),
        action: Action,
        reasons: Type.Array(
          strict({
            rule: Type.String(),
            policy: nullable(Type.String()),
            bucket: nullable(Type.String()),
            until: nullable(Timestamp),
            message: Type.String(),
          }),
        ),
        needed_by: Type.Array(Uuid),
        jobs: Type.Array(Uuid),
        downloads: Count,
      }),
    ),
    total: Count,
    page: Type.Integer({ minimum: 1 }),
    per_page: Type.Integer({ minimum: 1 }),
    total_pages: Count,
  }),
);
export type PreviewData = Static<typeof PreviewAnswer>['data'];
