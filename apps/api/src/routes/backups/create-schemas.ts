import { type Static, Type } from 'typebox';
import { NotificationBody } from '../../notifier/notification.ts';
import { Name, nullable, ProjectId, strict, Timestamp, Uuid } from '../shapes.ts';
import { CopyTo } from './copies-schemas.ts';

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String({ maxLength: 2000 });

const Names = (maxItems: number, description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { minItems: 1, maxItems, description }),
  );

/** Document 2's body, and our own ways to narrow it. Every field but `type` is optional. */
export const CreateBody = strict({
  type: Type.String({
    maxLength: 40,
    description:
      '`full`; `incremental`: what changed since the newest backup of the same service, paths and destination; `differential`: since the newest full one; without such a backup a full one is made, and `warnings` says why. `transaction` is not supported yet',
  }),
  components: Names(100, 'Services with one of these components; left out, all'),
  name: Type.Optional(Name),
  description: Type.Optional(Text),
  retention_days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 36_500,
      description:
        'Days after its end for which it is kept. When left out: what the destination says, else 90; under a retention policy the policy alone decides',
    }),
  ),
  encrypt: Type.Optional(
    Type.Boolean({ default: true, description: 'With the primary key of the workers’ keyring' }),
  ),
  verify: Type.Optional(
    Type.Boolean({ default: true, description: 'Read every archive back before the backup counts as made' }),
  ),
  compress: Type.Optional(Type.Boolean({ default: true })),
  compression_level: Type.Optional(Type.Integer({ minimum: 1, maximum: 9, default: 6 })),
  deduplicate: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Files of equal content, owner, mode, time and attributes are stored once in each archive. A restore gives separate files; plain tar gives hard links',
    }),
  ),
  location: Type.Optional(
    Type.String({
      maxLength: 5000,
      description: 'Where to, by the URL of a destination: s3://bucket/prefix or file:///folder',
    }),
  ),
  notification: Type.Optional(NotificationBody),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Whose services; left out, the default project’s' }),
  ),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Services of this server; left out, of all' }),
  ),
  services: Names(1000, 'Ids or names of services; left out, all'),
  destination_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Where to; left out, the default destination' }),
  ),
  copy_to: CopyTo,
});
export type CreateBody = Static<typeof CreateBody>;

const Started = strict({
  backup_id: Uuid,
  status: Type.String(),
  started_at: Timestamp,
  estimated_duration_seconds: nullable(Count),
  estimated_size_bytes: nullable(Count),
  progress_url: Type.String(),
  warnings: Type.Array(Type.String()),
});
export const CreateAnswer = strict({ success: Type.Literal(true), data: Started, message: Type.String() });
