/** Putting a backup back on a server, and taking that back. */
import { type Static, Type } from 'typebox';
import { DatabaseTarget } from './database.ts';
import { ProjectId, Uuid } from './ids.ts';
import { base, closed, KeyPrefix } from './plan-parts.ts';
import { RECORDS_MODES } from './project-records.ts';
import { ServiceRun } from './service-run.ts';
import { DestinationFolders, DestinationTarget, ServerTarget } from './targets.ts';

const runFields = {
  /** What is stopped before the change and started after it: the services concerned and those that depend on them. */
  services: Type.Array(ServiceRun),
  /** Their ids in waves, one after the other; those of a wave side by side. */
  stopOrder: Type.Array(Type.Array(Uuid)),
  startOrder: Type.Array(Type.Array(Uuid)),
  healthChecks: Type.Boolean(),
};

/** What is put back, where, and what stands still for it. */
const restoreFields = {
  ...base,
  backupId: Uuid,
  server: ServerTarget,
  destination: DestinationTarget,
  keyPrefix: KeyPrefix,
  manifestSha256: Type.String(),
  /** Services of the backup, by id; each must be in the manifest. */
  serviceIds: Type.Array(Uuid, { minItems: 1 }),
  /** Where to: null means the paths that were backed up; a folder means below it, with the whole path kept. */
  restorePath: Type.Union([Type.String({ pattern: '^/' }), Type.Null()]),
  /** Files and folders of the services, with all that is in them; null for everything. */
  paths: Type.Union([Type.Array(Type.String({ pattern: '^/' }), { minItems: 1 }), Type.Null()]),
  /** True: what is restored takes the place of what is there, which is kept as the way back. False: what exists stays. */
  overwrite: Type.Boolean(),
  verifyIntegrity: Type.Boolean(),
  ...runFields,
  /** Of services of databases: where each is restored to, and whether what is there under the same names makes way. */
  databases: Type.Optional(
    Type.Array(Type.Object({ serviceId: Uuid, target: DatabaseTarget }, closed), { minItems: 1 }),
  ),
  dropExisting: Type.Optional(Type.Boolean()),
  /** Paths of the server's other services: left as they are where they lie inside what is restored. */
  keep: Type.Array(Type.String({ pattern: '^/' })),
  destinationFolders: DestinationFolders,
};

export const RestorePlan = Type.Object(
  {
    ...restoreFields,
    kind: Type.Literal('restore'),
    /** Whether a failure puts everything back as it was. */
    rollback: Type.Boolean(),
    /** How long the way back is kept after the commit, in hours; 0: it goes with the commit. */
    keepHours: Type.Number({ minimum: 0 }),
    /**
     * Services of which the emergency backup before this found nothing to save: what is in their places when this begins
     * is held by no backup, and not replaced.
     */
    unsaved: Type.Optional(Type.Array(Uuid, { minItems: 1 })),
    /** Whether the project's own records are handed back as well, and what the API makes of them. */
    records: Type.Optional(
      Type.Object({ mode: Type.Enum([...RECORDS_MODES]), projectId: ProjectId }, closed),
    ),
  },
  closed,
);
export type RestorePlan = Static<typeof RestorePlan>;

/** What a restore would find and change. Nothing on the server is changed by it. */
export const PreviewPlan = Type.Object({ ...restoreFields, kind: Type.Literal('preview') }, closed);
export type PreviewPlan = Static<typeof PreviewPlan>;

/** What becomes of the way back that a restore left on its server: `undo` takes it, `forget` removes it. */
export const RollbackPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('rollback'),
    action: Type.Enum(['undo', 'forget']),
    backupId: Uuid,
    restoreJobId: Uuid,
    server: ServerTarget,
    ...runFields,
    destinationFolders: DestinationFolders,
  },
  closed,
);
export type RollbackPlan = Static<typeof RollbackPlan>;
