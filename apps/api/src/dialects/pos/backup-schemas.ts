/** Document 4's words for backups; fields of our own are optional, and in snake case. */
import { type Static, Type } from 'typebox';
import { LockView } from '../../routes/backups/schemas.ts';
import { Name, nullable, ProjectId, strict, Timestamp, Uuid } from '../../routes/shapes.ts';

const Count = Type.Integer({ minimum: 0 });

export const Components = Type.Array(Type.String({ minLength: 1, maxLength: 60 }), {
  minItems: 1,
  maxItems: 100,
});

export const Paging = {
  page: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 1 }),
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 10 }),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Only of this project; left out, of all' }),
  ),
};

export const Pagination = strict({
  page: Count,
  limit: Count,
  total: Count,
  totalPages: Count,
  hasNext: Type.Boolean(),
  hasPrev: Type.Boolean(),
});

export const CreateBody = strict({
  type: Type.Enum(['full', 'partial'], {
    description: '`full`: all services. `partial`: those of the components that are named',
  }),
  components: Type.Optional(
    Type.Unsafe<string[]>({
      ...Components,
      description: 'Required when type is partial; a full backup holds all',
    }),
  ),
  encrypt: Type.Optional(
    Type.Boolean({ default: true, description: 'AES-256-GCM, with the primary key of the workers’ keyring' }),
  ),
  compress: Type.Optional(
    Type.Boolean({
      default: true,
      description: 'false: blocks are stored as they are; it is a .tar.gz all the same',
    }),
  ),
  retentionDays: Type.Optional(
    Type.Integer({
      ...{ minimum: 1, maximum: 365, default: 30 },
      description: 'Days after its end for which it is kept; then it is deleted by itself',
    }),
  ),
  name: Type.Optional(Name),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Whose services; left out, the default project’s' }),
  ),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Services of this server; left out, of all' }),
  ),
  destination_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Where to; left out, the default destination' }),
  ),
});
export type CreateBody = Static<typeof CreateBody>;

const STATUSES = ['running', 'completed', 'partial', 'failed', 'cancelled', 'deleting'] as const;
export const BACKUP_STATUSES = STATUSES;

const shown = {
  id: Uuid,
  name: Type.String(),
  type: Type.Enum(['full', 'partial', 'incremental', 'differential']),
  size: Type.Integer({ minimum: 0, description: 'Bytes stored; 0 until the backup has ended' }),
  encrypted: Type.Boolean(),
  checksum: nullable(
    Type.String({ description: 'SHA-256 of the manifest, which holds that of every archive' }),
  ),
  createdAt: Timestamp,
  status: Type.Enum([...STATUSES]),
};

const Listed = strict({
  ...shown,
  components: Type.Array(Type.String()),
  compressed: Type.Boolean(),
  completedAt: nullable(Timestamp),
  retentionDays: nullable(Count),
  expiresAt: nullable(Timestamp),
  verified: Type.Boolean(),
  createdBy: nullable(Type.String()),
  projectId: ProjectId,
});

export const CreateAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  backup: strict({
    ...shown,
    components: Type.Integer({ minimum: 0, description: 'How many components the backup is of' }),
    warnings: Type.Array(Type.String()),
  }),
});

export const ListQuery = strict({
  ...Paging,
  status: Type.Optional(Type.Enum([...STATUSES])),
  type: Type.Optional(Type.Enum(['full', 'partial', 'incremental', 'differential'])),
});

export const ListAnswer = strict({
  success: Type.Literal(true),
  backups: Type.Array(Listed),
  pagination: Pagination,
  summary: strict({
    total: Count,
    completed: Count,
    failed: Count,
    running: Count,
    partial: Count,
    cancelled: Count,
    totalSize: Count,
    oldest: nullable(Timestamp),
    newest: nullable(Timestamp),
  }),
});

export const GetAnswer = strict({
  success: Type.Literal(true),
  backup: strict({
    ...Listed.properties,
    location: nullable(Type.String()),
    locked: nullable(LockView),
    downloadUrl: nullable(Type.String()),
    services: Type.Array(
      strict({
        id: Uuid,
        name: Type.String(),
        component: Type.String(),
        server: Type.String(),
        status: Type.String(),
        size: nullable(Count),
        checksum: nullable(Type.String()),
        files: nullable(Count),
        error: nullable(Type.String()),
      }),
    ),
    warnings: Type.Array(Type.String()),
    error: nullable(Type.String()),
  }),
});

export const DeleteAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  backup: strict({ id: Uuid, deletedAt: nullable(Timestamp), freed: nullable(Count), jobId: nullable(Uuid) }),
});
