/** What each kind of job gives back when it ends. */
import { type Static, Type } from 'typebox';
import { CopyResult } from './copy.ts';
import { DatabaseFacts } from './database.ts';
import { Failure } from './errors.ts';
import { KeyName, Timestamp, Uuid } from './ids.ts';
import { PreviewResult } from './preview-result.ts';
import { SealedBox } from './sealed.ts';
import { SurveyResult } from './survey.ts';
import { VerifyResult } from './verify-result.ts';

const closed = { additionalProperties: false } as const;
const Bytes = Type.Integer({ minimum: 0 });
const Count = Type.Integer({ minimum: 0 });

const ArtifactRef = Type.Object({ backupId: Uuid, artifactId: Uuid }, closed);

/** Of the whole tree as it was, whichever archives hold it. */
const IndexResult = Type.Object(
  {
    key: Type.String(),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    storedBytes: Bytes,
    entries: Count,
    files: Count,
    contentBytes: Bytes,
  },
  closed,
);

/** A finished archive. `storedBytes` is what lies in the destination, `tarBytes` the tar stream inside. */
export const ArtifactResult = Type.Object(
  {
    kind: Type.Literal('artifact'),
    artifactId: Uuid,
    attempt: Type.Integer(),
    key: Type.String(),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    storedBytes: Bytes,
    index: Type.Union([IndexResult, Type.Null()]),
    /** What it was compared with; null when everything was read. */
    parent: Type.Union([ArtifactRef, Type.Null()]),
    /** Archives of other backups that its index points into. */
    ancestors: Type.Array(ArtifactRef),
    tarBytes: Bytes,
    /** Sum of the sizes of the regular files in it. */
    contentBytes: Bytes,
    files: Count,
    directories: Count,
    otherEntries: Count,
    warnings: Count,
    /** Of databases alone. */
    database: Type.Optional(DatabaseFacts),
    startedAt: Timestamp,
    endedAt: Timestamp,
  },
  closed,
);
export type ArtifactResult = Static<typeof ArtifactResult>;

export const BackupResult = Type.Object(
  {
    kind: Type.Literal('backup'),
    manifestKey: Type.String(),
    manifestSha256: Type.String(),
    artifacts: Type.Array(ArtifactResult),
    failed: Type.Array(
      Type.Object(
        { artifactId: Uuid, serviceId: Uuid, serviceName: Type.String(), failure: Failure },
        closed,
      ),
    ),
    verifiedAt: Type.Union([Timestamp, Type.Null()]),
  },
  closed,
);
export type BackupResult = Static<typeof BackupResult>;

/** It comes with a failure, too: then `outcome` says what the failure left. */
export const RestoreResult = Type.Object(
  {
    kind: Type.Literal('restore'),
    /**
     * `unchanged`: it failed before anything was changed. `rolled_back`: everything is as it was. `failed`: the
     * message says what is where.
     */
    outcome: Type.Enum(['restored', 'unchanged', 'rolled_back', 'failed']),
    /** The folder on the server that holds the way back; null when there is none (any more). */
    rollbackPath: Type.Union([Type.String(), Type.Null()]),
    /** Services that ran before and do not now. */
    notRunning: Type.Array(Type.String()),
    restored: Type.Array(Type.String()),
    failed: Type.Array(Type.Object({ service: Type.String(), failure: Failure }, closed)),
    filesRestored: Count,
    filesSkipped: Count,
    bytesRestored: Bytes,
    /** How many of the project's own records were handed back in events before; left out, none were asked for. */
    records: Type.Optional(Count),
  },
  closed,
);
export type RestoreResult = Static<typeof RestoreResult>;

/** `restored` are the services whose old files are back. */
export const RollbackResult = Type.Object(
  {
    kind: Type.Literal('rollback'),
    action: Type.Enum(['undo', 'forget']),
    restored: Type.Array(Type.String()),
    notRunning: Type.Array(Type.String()),
  },
  closed,
);
export type RollbackResult = Static<typeof RollbackResult>;

export const DeleteResult = Type.Object(
  { kind: Type.Literal('delete'), objects: Count, bytes: Bytes },
  closed,
);
export type DeleteResult = Static<typeof DeleteResult>;

export const SweepResult = Type.Object(
  { kind: Type.Literal('sweep'), objects: Count, bytes: Bytes, uploads: Count },
  closed,
);
export type SweepResult = Static<typeof SweepResult>;

export const ServerTestResult = Type.Object(
  {
    kind: Type.Literal('server-test'),
    reachable: Type.Boolean(),
    fingerprint: Type.Union([Type.String(), Type.Null()]),
    /** Tool name to version line, or null where it is missing. */
    tools: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])),
    user: Type.Union([Type.String(), Type.Null()]),
    isRoot: Type.Boolean(),
    latencyMs: Type.Union([Type.Number(), Type.Null()]),
    failure: Type.Union([Failure, Type.Null()]),
  },
  closed,
);
export type ServerTestResult = Static<typeof ServerTestResult>;

export const DestinationTestResult = Type.Object(
  {
    kind: Type.Literal('destination-test'),
    reachable: Type.Boolean(),
    writable: Type.Boolean(),
    latencyMs: Type.Union([Type.Number(), Type.Null()]),
    failure: Type.Union([Failure, Type.Null()]),
  },
  closed,
);
export type DestinationTestResult = Static<typeof DestinationTestResult>;

/** Of a job that failed, too: what could be opened is sealed anew. Null: the server has none, or they could not. */
export const ResealResult = Type.Object(
  {
    kind: Type.Literal('reseal'),
    serverId: Uuid,
    secrets: Type.Union([SealedBox, Type.Null()]),
    databases: Type.Optional(Type.Array(Type.Object({ serviceId: Uuid, secrets: SealedBox }, closed))),
  },
  closed,
);
export type ResealResult = Static<typeof ResealResult>;

/** `archives` is how many the backup has that are encrypted, `changed` of how many the key objects were not yet as asked. */
export const RewrapResult = Type.Object(
  { kind: Type.Literal('rewrap'), archives: Count, changed: Count, keyName: KeyName },
  closed,
);
export type RewrapResult = Static<typeof RewrapResult>;

export const JobResult = Type.Union([
  BackupResult,
  ArtifactResult,
  VerifyResult,
  RestoreResult,
  RollbackResult,
  PreviewResult,
  DeleteResult,
  SweepResult,
  ServerTestResult,
  DestinationTestResult,
  ResealResult,
  RewrapResult,
  SurveyResult,
  CopyResult,
]);
export type JobResult = Static<typeof JobResult>;
export type ResultOf<K extends JobResult['kind']> = Extract<JobResult, { kind: K }>;
