import { type Static, Type } from 'typebox';
import { nullable, strict, Timestamp, Uuid } from '../shapes.ts';

const Count = Type.Integer({ minimum: 0 });

/** Document 2's body; nothing at all is a quick verification of everything. */
export const VerifyBody = Type.Unsafe<{
  deep_verification?: boolean;
  test_restore?: boolean;
  components?: string[];
  destination_id?: string;
} | null>({
  type: ['object', 'null'],
  properties: {
    deep_verification: Type.Boolean({
      description: 'Reads every file, those in the archives of earlier backups too; needs the keys',
    }),
    test_restore: Type.Boolean({
      description:
        'Also extracts everything on the worker’s own disk, one service at a time, and compares it; includes deep_verification',
    }),
    components: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      minItems: 1,
      maxItems: 100,
      description: 'Only these; the backup as a whole then does not count as verified',
    }),
    destination_id: Type.String({
      ...Uuid,
      description: 'Check the copy at this destination; left out, the backup’s own',
    }),
  },
  additionalProperties: false,
});
export type VerifyBody = Static<typeof VerifyBody>;

/** Document 1's answer. */
export const VerifyAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  data: strict({
    backupId: Uuid,
    isValid: nullable(Type.Boolean()),
    filePath: nullable(Type.String()),
    fileSize: Count,
    verifyJobId: Uuid,
    issues: Type.Array(Type.String()),
  }),
});

export const VerificationParams = strict({ backup_id: Uuid });

const Check = Type.Enum(['passed', 'failed', 'skipped']);
const ComponentVerified = strict({
  status: Type.Enum(['passed', 'failed']),
  size_verified: Count,
  checksum_match: Type.Boolean(),
  files_verified: Type.Optional(Count),
  missing_files: Type.Optional(Count),
  corrupted_files: Type.Optional(Count),
});

/** Document 2's answer; before the end everything that is not known yet is null. */
export const VerificationAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    backup_id: Uuid,
    job_id: Uuid,
    verification_level: Type.Enum(['quick', 'deep', 'test_restore']),
    verification_status: Type.Enum(['in_progress', 'passed', 'failed']),
    verified_at: nullable(Timestamp),
    verification_duration_seconds: nullable(Count),
    checks_performed: nullable(
      strict({
        checksum_validation: Check,
        file_integrity: Check,
        encryption_validation: Check,
        compression_validation: Check,
        metadata_validation: Check,
        component_completeness: Check,
      }),
    ),
    components_verified: Type.Record(Type.String(), ComponentVerified),
    issues: Type.Array(Type.String()),
    recommendations: Type.Array(Type.String()),
  }),
  message: Type.String(),
});
export type VerificationAnswer = Static<typeof VerificationAnswer>;
