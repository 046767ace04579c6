/** A backup's closing record, written last: without it the backup does not exist. */
import { createHash } from 'node:crypto';
import { createParser, DatabaseFacts, ProjectId, Timestamp, Uuid } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0 });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

const ManifestIndex = Type.Object(
  {
    name: Type.String({ pattern: '^[0-9a-f-]{36}/[1-9][0-9]*-[A-Za-z0-9_-]+\\.index\\.gz(\\.enc)?$' }),
    bytes: Count,
    sha256: Sha256,
    /** Of the whole tree as it was, whichever archive holds it. */
    entries: Count,
    files: Count,
    /** Sum of the sizes of those files, in bytes; names of one content count once. */
    contentBytes: Count,
  },
  closed,
);

/** One archive of one backup. */
const ArtifactRef = Type.Object({ backupId: Uuid, artifactId: Uuid }, closed);

export const ManifestArtifact = Type.Object(
  {
    artifactId: Uuid,
    attempt: Type.Integer({ minimum: 1 }),
    service: Type.Object(
      { id: Uuid, name: Type.String(), type: Type.String(), component: Type.String() },
      closed,
    ),
    server: Type.Object({ id: Uuid, name: Type.String() }, closed),
    /** Absolute paths, config paths first, as the service had them at the time. */
    roots: Type.Array(Type.String({ pattern: '^/' })),
    exclude: Type.Array(Type.String()),
    object: Type.Object(
      {
        /** Relative to the manifest's own folder, so that a copied or downloaded backup is whole. */
        name: Type.String({ pattern: '^[0-9a-f-]{36}/[1-9][0-9]*-[A-Za-z0-9_-]+\\.tar\\.gz(\\.enc)?$' }),
        bytes: Count,
        sha256: Sha256,
      },
      closed,
    ),
    /** Its index; null in backups of version 1, which had none. */
    index: Type.Union([ManifestIndex, Type.Null()]),
    /** What it was compared with; null when everything was read. */
    parent: Type.Union([ArtifactRef, Type.Null()]),
    /** Archives of other backups that its index points into: without them it cannot be restored. */
    ancestors: Type.Array(ArtifactRef),
    /** The tar stream inside, in bytes. */
    tarBytes: Count,
    /** Sum of the sizes of its regular files, in bytes. */
    contentBytes: Count,
    files: Count,
    directories: Count,
    otherEntries: Count,
    /** How many warnings its capture gave. */
    warnings: Count,
    /** Of databases alone: what their dumps hold. */
    database: Type.Optional(DatabaseFacts),
    startedAt: Timestamp,
    endedAt: Timestamp,
  },
  closed,
);
export type ManifestArtifact = Static<typeof ManifestArtifact>;

/** Written now; version 1 knew no encryption, and is read as well. */
export const MANIFEST_VERSION = 2;

const Encryption = Type.Object(
  {
    /** Tink's name for the format of each encrypted object. */
    format: Type.Literal('AES256_GCM_HKDF_1MB'),
    /** Of this manifest with `mac` null, under the key of one of its artifacts; null when the writer had no such key. */
    mac: Type.Union([Type.Object({ artifactId: Uuid, hmacSha256: Sha256 }, closed), Type.Null()]),
  },
  closed,
);

export const Manifest = Type.Object(
  {
    format: Type.Literal('tarfleet-backup'),
    version: Type.Union([Type.Literal(1), Type.Literal(MANIFEST_VERSION)]),
    backupId: Uuid,
    projectId: ProjectId,
    name: Type.Union([Type.String(), Type.Null()]),
    type: Type.Enum(['full', 'incremental', 'differential']),
    createdAt: Timestamp,
    completedAt: Timestamp,
    /** When every stored archive was read back and found right, before this was written; null when that was not asked for. */
    verifiedAt: Type.Union([Timestamp, Type.Null()]),
    software: Type.Object({ name: Type.Literal('tarfleet'), version: Type.String() }, closed),
    encryption: Type.Union([Encryption, Type.Null()]),
    compression: Type.Object(
      {
        enabled: Type.Boolean(),
        level: Type.Integer({ minimum: 1, maximum: 9 }),
        /** How much tar each gzip member holds, in bytes. */
        blockBytes: Type.Integer({ minimum: 1 }),
      },
      closed,
    ),
    artifacts: Type.Array(ManifestArtifact),
    /** Services that the backup does not hold, and why. */
    failed: Type.Array(
      Type.Object(
        {
          artifactId: Uuid,
          serviceId: Uuid,
          serviceName: Type.String(),
          component: Type.String(),
          /** An error code; text, so that a code that this program does not know yet does no harm. */
          code: Type.String({ pattern: '^[A-Z][A-Z0-9_]*$' }),
          message: Type.String(),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type Manifest = Static<typeof Manifest>;

const parse = createParser(Manifest);

/** The manifest's bytes: UTF-8 JSON, indented, one newline at the end. Throws when the manifest is not valid. */
export function serializeManifest(manifest: Manifest): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  parseManifest(bytes);
  return bytes;
}

/** Reads a manifest. Errors: BACKUP_CORRUPTED naming each fault, NOT_SUPPORTED for a later version of the format. */
export function parseManifest(bytes: Buffer): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('BACKUP_CORRUPTED', "The backup's manifest is not JSON.", { cause });
  }
  const parsed = parse(upgraded(value));
  if (!parsed.ok) {
    refuseLaterVersion(value);
    throw corrupted(parsed.faults);
  }
  const faults = contradictions(parsed.value);
  if (faults.length > 0) throw corrupted(faults);
  return parsed.value;
}

/** Version 1 knew neither indexes nor parents. */
function upgraded(value: unknown): unknown {
  const { version, artifacts } = (value ?? {}) as { version?: unknown; artifacts?: unknown };
  if (version !== 1 || !Array.isArray(artifacts)) return value;
  const added = { index: null, parent: null, ancestors: [] };
  return {
    ...(value as object),
    artifacts: artifacts.map((artifact: unknown) =>
      typeof artifact === 'object' && artifact !== null ? { ...artifact, ...added } : artifact,
    ),
  };
}

/** What a manifest's MAC is of: compact JSON, its keys in their order, `encryption.mac` null. */
export function manifestMacInput(manifest: Manifest): Buffer {
  const encryption = manifest.encryption && { ...manifest.encryption, mac: null };
  return Buffer.from(JSON.stringify({ ...manifest, encryption }));
}

/** Hex, of the manifest's bytes as they are stored. */
export function manifestSha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function refuseLaterVersion(value: unknown): void {
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === 'tarfleet-backup' && Number.isInteger(version) && Number(version) > MANIFEST_VERSION) {
    throw new AppError(
      'NOT_SUPPORTED',
      `The backup's manifest has version ${Number(version)}; this program reads version ${MANIFEST_VERSION}. Use a later one.`,
    );
  }
}

function contradictions(manifest: Manifest): string[] {
  const seen = new Set<string>();
  const faults: string[] = [];
  for (const [index, artifact] of manifest.artifacts.entries()) {
    const objects = [artifact.object.name, ...(artifact.index ? [artifact.index.name] : [])];
    if (objects.some((name) => name.endsWith('.enc') !== (manifest.encryption !== null))) {
      faults.push(`/artifacts/${index} is not encrypted as the manifest says`);
    }
    for (const key of [artifact.artifactId, artifact.service.id, artifact.object.name]) {
      if (seen.has(key)) faults.push(`/artifacts/${index} repeats ${key}`);
    }
    seen.add(artifact.artifactId).add(artifact.service.id).add(artifact.object.name);
  }
  return faults;
}

function corrupted(faults: string[]): AppError {
  return new AppError('BACKUP_CORRUPTED', `The backup's manifest is damaged: ${faults.join('; ')}.`, {
    details: { faults },
  });
}
