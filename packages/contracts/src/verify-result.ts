/** What a verification found. */
import { type Static, Type } from 'typebox';
import { Timestamp, Uuid } from './ids.ts';
import { VERIFY_LEVELS } from './plans.ts';

const closed = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0 });

/** `skipped`: the level does not look at it, or there is nothing to look at. */
const Check = Type.Enum(['passed', 'failed', 'skipped']);

export const VerifyChecks = Type.Object(
  {
    /** Stored objects against size and SHA-256; of ancestors, too, where the level looks there. */
    checksum: Check,
    /** Every entry against the index, in whichever archive it lies. */
    contents: Check,
    /** Quick: the key objects are there. Else: keys open, and every segment that was read is sound. */
    encryption: Check,
    /** Every gzip member that was read. */
    compression: Check,
    /** The manifest, and each index with its counts. */
    metadata: Check,
  },
  closed,
);
export type VerifyChecks = Static<typeof VerifyChecks>;

/** What was found of one service. Counts are null where its contents were not looked at. */
export const VerifiedService = Type.Object(
  {
    artifactId: Uuid,
    serviceId: Uuid,
    serviceName: Type.String(),
    component: Type.String(),
    checks: VerifyChecks,
    /** Files that were read whole and are right. */
    filesVerified: Type.Union([Count, Type.Null()]),
    /** Entries whose archive is gone. */
    missingFiles: Type.Union([Count, Type.Null()]),
    /** Entries that are not as the index says; at least so many where an issue says that reading stopped. */
    corruptedFiles: Type.Union([Count, Type.Null()]),
    restored: Check,
    issues: Type.Array(Type.String()),
  },
  closed,
);
export type VerifiedService = Static<typeof VerifiedService>;

export const VerifyResult = Type.Object(
  {
    kind: Type.Literal('verify'),
    level: Type.Enum([...VERIFY_LEVELS]),
    valid: Type.Boolean(),
    /** Not all that the backup holds was looked at: being valid says nothing of the rest. */
    narrowed: Type.Boolean(),
    verifiedAt: Timestamp,
    /** What is wrong, one sentence each; empty when valid. */
    issues: Type.Array(Type.String()),
    checks: VerifyChecks,
    services: Type.Array(VerifiedService),
    /** Services that the backup lacks since it was made, by name. */
    lacking: Type.Array(Type.String()),
    /** Other backups, which these services need, whose own archives or manifests were found damaged. */
    damagedAncestors: Type.Array(Uuid),
    objects: Type.Array(
      Type.Object(
        {
          artifactId: Uuid,
          serviceId: Uuid,
          component: Type.String(),
          key: Type.String(),
          bytes: Count,
          status: Type.Enum(['passed', 'missing', 'size_mismatch', 'checksum_mismatch']),
          message: Type.String(),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type VerifyResult = Static<typeof VerifyResult>;
