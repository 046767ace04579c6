/** Document 4's words for restores. */
import { RESTORE_LIST_STATES } from '@tarfleet/db';
import { type Static, Type } from 'typebox';
import { nullable, strict, Timestamp, Uuid } from '../../routes/shapes.ts';
import { Components, Pagination, Paging } from './backup-schemas.ts';

const Count = Type.Integer({ minimum: 0 });

export const RestoreBody = strict({
  backupId: Uuid,
  components: Type.Optional(
    Type.Unsafe<string[]>({
      ...Components,
      description: 'Services of these; left out, all that the backup holds',
    }),
  ),
  overwrite: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'true: what is restored takes the place of what is there. false: files that exist stay as they are and only missing ones come back; a database that exists fails the restore before anything is stopped or changed',
    }),
  ),
  validateOnly: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'true: read and check all that a restore would need, and restore nothing',
    }),
  ),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Only services that were backed up from this server' }),
  ),
});
export type RestoreBody = Static<typeof RestoreBody>;

export const RESTORE_STATUSES = [
  'restoring',
  'validating',
  'completed',
  'failed',
  'rolled_back',
  'validated',
] as const;

const shown = {
  id: Uuid,
  backupId: Uuid,
  backupName: Type.String(),
  status: Type.Enum([...RESTORE_STATUSES]),
  validated: Type.Boolean({
    description: 'Whether the backup was found sound: by this restore, or when it was last verified',
  }),
  components: Type.Array(Type.String()),
  startedAt: Timestamp,
};

export const CreateRestoreAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  restore: strict({ ...shown, issues: Type.Array(Type.String()), warnings: Type.Array(Type.String()) }),
});

export const ListRestoresQuery = strict({
  ...Paging,
  status: Type.Optional(Type.Enum([...RESTORE_LIST_STATES])),
});

export const ListRestoresAnswer = strict({
  success: Type.Literal(true),
  restores: Type.Array(
    strict({
      ...shown,
      validateOnly: Type.Boolean(),
      completedAt: nullable(Timestamp),
      error: nullable(Type.String()),
    }),
  ),
  pagination: Pagination,
  summary: strict({
    total: Count,
    completed: Count,
    failed: Count,
    running: Count,
    rolledBack: Count,
    validated: Count,
  }),
});
