/** What plans have in common. */
import { Type } from 'typebox';
import { PoolName, ProjectId, Timestamp, Uuid } from './ids.ts';

/** A worker refuses any other with PLAN_VERSION_UNKNOWN. */
export const PLAN_VERSION = 1;

export const closed = { additionalProperties: false } as const;

export const base = {
  v: Type.Literal(PLAN_VERSION),
  jobId: Uuid,
  pool: PoolName,
  projectId: ProjectId,
  /** The request that caused it, for the logs. */
  requestId: Type.String(),
  issuedAt: Timestamp,
};

/** Where a backup's objects lie: `{keyPrefix}/manifest.json` and `{keyPrefix}/{artifact}/...`. */
export const KeyPrefix = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]*[A-Za-z0-9]$' });

/** Whether backups are known to lie at the destination: an empty one is then not the right one, and is not written to. */
export const HoldsBackups = Type.Optional(Type.Boolean());
