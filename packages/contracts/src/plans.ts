/** What the API asks of a worker: one closed schema per kind of job, parsed on both ends. */
import { type Static, Type } from 'typebox';
import { CopyPlan, CopyTargets } from './copy.ts';
import { KeyName, PoolName, Timestamp, Uuid } from './ids.ts';
import { base, closed, HoldsBackups, KeyPrefix } from './plan-parts.ts';
import { PreviewPlan, RestorePlan, RollbackPlan } from './restore-plans.ts';
import { SealedBox } from './sealed.ts';
import { SurveyPlan } from './survey.ts';
import { DestinationFolders, DestinationTarget, ServerTarget, ServiceTarget } from './targets.ts';

export const JOB_KINDS = [
  'backup',
  'artifact',
  'verify',
  'restore',
  'rollback',
  'preview',
  'delete',
  'sweep',
  'server-test',
  'destination-test',
  'reseal',
  'rewrap',
  'survey',
  'copy',
] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export const BackupType = Type.Enum(['full', 'incremental', 'differential']);
export type BackupType = Static<typeof BackupType>;

const Compression = Type.Object(
  { enabled: Type.Boolean(), level: Type.Integer({ minimum: 1, maximum: 9 }) },
  closed,
);

/** The keyring's key under which the backup's own keys are wrapped; null for a backup that is not encrypted. */
const Encryption = Type.Union([Type.Object({ keyName: KeyName }, closed), Type.Null()]);

/** An artifact of an earlier backup in the same destination and project. */
export const ParentArtifact = Type.Object(
  { backupId: Uuid, artifactId: Uuid, keyPrefix: KeyPrefix, manifestSha256: Type.String() },
  closed,
);
export type ParentArtifact = Static<typeof ParentArtifact>;

export const ArtifactPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('artifact'),
    backupId: Uuid,
    server: ServerTarget,
    service: ServiceTarget,
    destination: DestinationTarget,
    keyPrefix: KeyPrefix,
    compression: Compression,
    encryption: Encryption,
    /** Whether files of equal content and attributes are stored once; plans of earlier versions do not say. */
    deduplicate: Type.Optional(Type.Boolean()),
    /** What to compare with; null reads everything. */
    parent: Type.Union([ParentArtifact, Type.Null()]),
    /** The project's own records, gzipped and sealed for the pool: then they are what is backed up, and no server is asked. */
    records: Type.Optional(SealedBox),
    destinationFolders: DestinationFolders,
    holdsBackups: HoldsBackups,
  },
  closed,
);
export type ArtifactPlan = Static<typeof ArtifactPlan>;

/** The parent: it runs when every artifact's job has ended, well or not, and closes the backup. Its job id is the backup's. */
export const BackupPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('backup'),
    backupType: BackupType,
    name: Type.Union([Type.String(), Type.Null()]),
    createdAt: Timestamp,
    destination: DestinationTarget,
    keyPrefix: KeyPrefix,
    verify: Type.Boolean(),
    compression: Compression,
    encryption: Encryption,
    artifacts: Type.Array(
      Type.Object(
        {
          jobId: Uuid,
          pool: PoolName,
          serverId: Uuid,
          serverName: Type.String(),
          service: ServiceTarget,
        },
        closed,
      ),
    ),
  },
  closed,
);
export type BackupPlan = Static<typeof BackupPlan>;

/** Each looks at all that the one before it does; `docs/api.md` says at what. */
export const VERIFY_LEVELS = ['quick', 'deep', 'test_restore'] as const;
export type VerifyLevel = (typeof VERIFY_LEVELS)[number];

export const VerifyPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('verify'),
    backupId: Uuid,
    destination: DestinationTarget,
    keyPrefix: KeyPrefix,
    /** Of the manifest as the API recorded it. */
    manifestSha256: Type.String(),
    level: Type.Enum([...VERIFY_LEVELS]),
    /** Services of the backup, by id; null for all that it holds. */
    serviceIds: Type.Union([Type.Array(Uuid, { minItems: 1 }), Type.Null()]),
    /** The backups that these build on, with the manifests as the API recorded them; only for levels that look there. */
    ancestors: Type.Array(Type.Object({ backupId: Uuid, manifestSha256: Type.String() }, closed)),
  },
  closed,
);
export type VerifyPlan = Static<typeof VerifyPlan>;

/** Removes every object of a backup and of its copies, each manifest first, so that a half-deleted backup does not exist. */
export const DeletePlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('delete'),
    backupId: Uuid,
    destination: DestinationTarget,
    keyPrefix: KeyPrefix,
    copies: CopyTargets,
  },
  closed,
);
export type DeletePlan = Static<typeof DeletePlan>;

/** Removes what dead attempts left below one final backup's prefix: whatever its manifest does not name. */
export const SweepPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('sweep'),
    backupId: Uuid,
    destination: DestinationTarget,
    keyPrefix: KeyPrefix,
    /** True when the backup ended without a manifest: nothing of it is kept. */
    keepNothing: Type.Boolean(),
  },
  closed,
);
export type SweepPlan = Static<typeof SweepPlan>;

export const ServerTestPlan = Type.Object(
  { ...base, kind: Type.Literal('server-test'), server: ServerTarget },
  closed,
);
export type ServerTestPlan = Static<typeof ServerTestPlan>;

export const DestinationTestPlan = Type.Object(
  { ...base, kind: Type.Literal('destination-test'), destination: DestinationTarget },
  closed,
);
export type DestinationTestPlan = Static<typeof DestinationTestPlan>;

/** Opens a server's credentials, and its databases' passwords, with an old key of the pool and seals them with its current one. */
export const ResealPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('reseal'),
    serverId: Uuid,
    /** Null: the server is a local one and has no credentials. */
    host: Type.Union([Type.String(), Type.Null()]),
    port: Type.Union([Type.Integer(), Type.Null()]),
    secrets: Type.Union([SealedBox, Type.Null()]),
    /** Passwords of its services' databases; plans of earlier versions know of none. */
    databases: Type.Optional(
      Type.Array(
        Type.Object(
          {
            serviceId: Uuid,
            serviceName: Type.String(),
            /** What the password is bound to, and stays bound to. */
            info: Type.String({ pattern: '^tarfleet:database-secrets:v1:' }),
            secrets: SealedBox,
          },
          closed,
        ),
      ),
    ),
    to: Type.Object({ keyId: Type.String(), publicKey: Type.String() }, closed),
  },
  closed,
);
export type ResealPlan = Static<typeof ResealPlan>;

/** Wraps the keys of a backup's archives with another key of the keyring; archives and manifest stay as they are. */
export const RewrapPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('rewrap'),
    backupId: Uuid,
    destination: DestinationTarget,
    keyPrefix: KeyPrefix,
    manifestSha256: Type.String(),
    copies: CopyTargets,
    to: KeyName,
  },
  closed,
);
export type RewrapPlan = Static<typeof RewrapPlan>;

export const Plan = Type.Union([
  BackupPlan,
  ArtifactPlan,
  VerifyPlan,
  RestorePlan,
  RollbackPlan,
  PreviewPlan,
  DeletePlan,
  SweepPlan,
  ServerTestPlan,
  DestinationTestPlan,
  ResealPlan,
  RewrapPlan,
  SurveyPlan,
  CopyPlan,
]);
export type Plan = Static<typeof Plan>;
export type PlanOf<K extends JobKind> = Extract<Plan, { kind: K }>;
