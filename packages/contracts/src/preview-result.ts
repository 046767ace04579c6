/** What a look at the server says that a restore would do there. */
import { type Static, Type } from 'typebox';
import { Failure } from './errors.ts';
import { Uuid } from './ids.ts';

const closed = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0 });

/** How many paths each kind of change names. */
export const PREVIEW_EXAMPLES = 100;

/** Of one kind of change: how many paths, how many of them are files, the files' sizes, and the first paths. */
export const PreviewGroup = Type.Object(
  {
    entries: Count,
    files: Count,
    bytes: Type.Integer({ minimum: 0 }),
    /** As they lie on the server; what is not UTF-8 in them is shown as replacement characters. */
    examples: Type.Array(Type.String(), { maxItems: PREVIEW_EXAMPLES }),
  },
  closed,
);
export type PreviewGroup = Static<typeof PreviewGroup>;

/**
 * `unchanged`: of the same type, size, time, owner and mode; contents are not read. `kept`: it is there, differs, and
 * stays. Sizes are the backup's for what comes, the server's for what goes or stays.
 */
export const PreviewChanges = Type.Object(
  {
    created: PreviewGroup,
    overwritten: PreviewGroup,
    unchanged: PreviewGroup,
    deleted: PreviewGroup,
    kept: PreviewGroup,
  },
  closed,
);
export type PreviewChanges = Static<typeof PreviewChanges>;

export const SERVICE_STATUSES = ['running', 'changing', 'stopped', 'failed', 'unknown'] as const;

export const PreviewResult = Type.Object(
  {
    kind: Type.Literal('preview'),
    /** Why a restore would fail now; none: it would begin. */
    problems: Type.Array(
      Type.Object({ service: Type.Union([Type.String(), Type.Null()]), failure: Failure }, closed),
    ),
    /** Whether the stored archives are as their checksums say; null when that was not asked for or not reached. */
    verified: Type.Union([Type.Boolean(), Type.Null()]),
    /** Of those that would be stopped, started or checked; null when the server was not reached. */
    services: Type.Union([
      Type.Array(
        Type.Object(
          {
            id: Uuid,
            name: Type.String(),
            status: Type.Enum([...SERVICE_STATUSES]),
            detail: Type.String(),
          },
          closed,
        ),
      ),
      Type.Null(),
    ]),
    parts: Type.Array(
      Type.Object(
        {
          serviceId: Uuid,
          service: Type.String(),
          /** What is to be put back. */
          files: Count,
          bytes: Type.Integer({ minimum: 0 }),
          /** Null where it could not be found out. */
          changes: Type.Union([PreviewChanges, Type.Null()]),
        },
        closed,
      ),
    ),
    /** What a restore would say, too; at most a hundred. */
    warnings: Type.Array(Type.String()),
  },
  closed,
);
export type PreviewResult = Static<typeof PreviewResult>;
