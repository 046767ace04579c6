/** What a plan says of the server, the services and the destination: names, places and sealed secrets. */
import { type Static, Type } from 'typebox';
import { DATABASE_TYPES, DatabaseTarget } from './database.ts';
import {
  AzureDestinationConfig,
  FtpDestinationConfig,
  LocalDestinationConfig,
  S3DestinationConfig,
  SftpDestinationConfig,
} from './destination-configs.ts';
import { ServiceHooks } from './hooks.ts';
import { PoolName, ProjectId, Uuid } from './ids.ts';
import { PROJECT_RECORDS } from './project-records.ts';
import { SealedBox } from './sealed.ts';

const closed = { additionalProperties: false } as const;

const sshFields = {
  id: Uuid,
  projectId: ProjectId,
  name: Type.String(),
  kind: Type.Literal('ssh'),
  pool: PoolName,
  host: Type.String({ minLength: 1 }),
  port: Type.Integer({ minimum: 1, maximum: 65535 }),
  username: Type.String({ minLength: 1 }),
  /** `SHA256:` and unpadded base64, as ssh-keygen prints it; null until the first test has pinned it. */
  hostKey: Type.Union([Type.String(), Type.Null()]),
  become: Type.Union([Type.Literal('sudo'), Type.Null()]),
  secrets: SealedBox,
};

/** A jump host is an ssh server without a jump of its own. */
export const JumpTarget = Type.Object(sshFields, closed);
export type JumpTarget = Static<typeof JumpTarget>;

export const SshTarget = Type.Object({ ...sshFields, jump: Type.Union([JumpTarget, Type.Null()]) }, closed);
export type SshTarget = Static<typeof SshTarget>;

export const LocalTarget = Type.Object(
  { id: Uuid, projectId: ProjectId, name: Type.String(), kind: Type.Literal('local'), pool: PoolName },
  closed,
);
export type LocalTarget = Static<typeof LocalTarget>;

export const ServerTarget = Type.Union([SshTarget, LocalTarget]);
export type ServerTarget = Static<typeof ServerTarget>;

const destinationFields = { id: Uuid, name: Type.String() };
const remoteFields = { ...destinationFields, secrets: SealedBox };

/** With the secrets of one that needs some, sealed for the plan's pool. */
export const DestinationTarget = Type.Union([
  Type.Object({ ...destinationFields, type: Type.Literal('local'), config: LocalDestinationConfig }, closed),
  Type.Object({ ...remoteFields, type: Type.Literal('s3'), config: S3DestinationConfig }, closed),
  Type.Object({ ...remoteFields, type: Type.Literal('sftp'), config: SftpDestinationConfig }, closed),
  Type.Object({ ...remoteFields, type: Type.Literal('ftp'), config: FtpDestinationConfig }, closed),
  Type.Object({ ...remoteFields, type: Type.Literal('azure'), config: AzureDestinationConfig }, closed),
]);
export type DestinationTarget = Static<typeof DestinationTarget>;

/** Folders of destinations that lie on a server: of no backup of it, and left as they are by its restores. Left out: none. */
export const DestinationFolders = Type.Optional(
  Type.Array(Type.Object({ name: Type.String(), path: Type.String({ pattern: '^/' }) }, closed)),
);
export type DestinationFolders = NonNullable<Static<typeof DestinationFolders>>;

/** A service as the worker sees it. Paths are absolute; excludes are described in `docs/services.md`. */
export const ServiceTarget = Type.Object(
  {
    id: Uuid,
    name: Type.String(),
    /** Which source captures it. */
    type: Type.Enum(['files', ...DATABASE_TYPES, PROJECT_RECORDS.type]),
    component: Type.String(),
    configPaths: Type.Array(Type.String({ pattern: '^/' })),
    dataPaths: Type.Array(Type.String({ pattern: '^/' })),
    exclude: Type.Array(Type.String({ minLength: 1 })),
    /** Of every type but `files`; of the same type as the service. */
    database: Type.Optional(DatabaseTarget),
    hooks: Type.Optional(ServiceHooks),
  },
  closed,
);
export type ServiceTarget = Static<typeof ServiceTarget>;
