import { SERVICE_STATUSES } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { nullable, strict, Timestamp, Uuid } from '../shapes.ts';

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String();
const Path = Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4000 });

export const PreviewQuery = strict({
  restoreType: Type.Optional(Type.Enum(['full', 'selective'], { default: 'full' })),
  selectedServices: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 16_000,
      description: 'Ids or names, with commas between; needs restoreType=selective',
    }),
  ),
  paths: Type.Optional(
    Type.Unsafe<string | string[]>({
      anyOf: [Type.Array(Path, { minItems: 1, maxItems: 1000 }), Path],
      description: 'As in the restore; repeat it for several',
    }),
  ),
  restorePath: Type.Optional(
    Type.String({ pattern: '^/', maxLength: 4000, description: 'As in the restore' }),
  ),
  overwrite: Type.Optional(Type.Boolean({ description: 'As in the restore' })),
  dropExisting: Type.Optional(Type.Boolean({ description: 'As `database.dropExisting` in the restore' })),
  target_server_id: Type.Optional(Type.String({ ...Uuid, description: 'As in the restore' })),
  verifyIntegrity: Type.Optional(
    Type.Boolean({ default: false, description: 'Also check the stored archives, which takes its time' }),
  ),
});
export type PreviewQuery = Static<typeof PreviewQuery>;

const Group = strict({
  entries: Count,
  files: Count,
  bytes: Count,
  examples: Type.Array(Text, { maxItems: 100 }),
});
const Changes = strict({
  created: Group,
  overwritten: Group,
  unchanged: Group,
  deleted: Group,
  kept: Group,
});

/** Whatever only the server knows is null when it was not looked at. */
export const PreviewData = strict({
  backup: strict({
    id: Uuid,
    backupType: Text,
    createdAt: Timestamp,
    fileSize: Count,
    serverName: Text,
  }),
  restoreType: Type.Enum(['full', 'selective']),
  services: Type.Array(
    strict({
      id: Uuid,
      name: Text,
      type: Text,
      status: nullable(
        Type.Enum([...SERVICE_STATUSES, 'none'], { description: 'none: files alone, nothing runs' }),
      ),
      configPaths: Type.Array(Text),
      dataPaths: Type.Array(Text),
      backupPriority: Type.Integer(),
      filesToRestore: nullable(Count),
      bytesToRestore: nullable(Count),
      changes: nullable(Changes),
    }),
  ),
  servicesCount: Count,
  estimatedDuration: nullable(Type.Integer({ minimum: 0, description: 'seconds' })),
  estimatedDowntime: nullable(
    Type.Integer({ minimum: 0, description: 'seconds for which services are stopped' }),
  ),
  filesToRestore: nullable(Count),
  bytesToRestore: nullable(Count),
  target: strict({
    serverId: Uuid,
    serverName: Text,
    paths: nullable(Type.Array(Text)),
    restorePath: nullable(Text),
    overwrite: Type.Boolean(),
  }),
  affectedServices: Type.Array(
    strict({
      id: Uuid,
      name: Text,
      status: nullable(Type.Enum([...SERVICE_STATUSES])),
      detail: nullable(Text),
    }),
    { description: 'Those on the target that are stopped, started or checked' },
  ),
  stopOrder: Type.Array(Type.Array(Text), {
    description: 'Names of services, those side by side that are stopped at once; once known, those that run',
  }),
  startOrder: Type.Array(Type.Array(Text)),
  canRestore: nullable(Type.Boolean({ description: 'whether a restore would begin now' })),
  integrityVerified: nullable(Type.Boolean()),
  problems: nullable(Type.Array(strict({ service: nullable(Text), code: Text, message: Text }))),
  warnings: Type.Array(Text),
  previewJobId: nullable(Uuid),
});
export type PreviewData = Static<typeof PreviewData>;

export const PreviewAnswer = strict({
  success: Type.Literal(true),
  message: Text,
  data: PreviewData,
});
