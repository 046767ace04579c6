import type { ErrorCode, Failure } from '@tarfleet/contracts';
import type { Artifact } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export type ArtifactStatus = 'in_progress' | 'completed' | 'failed' | 'cancelled';

/** Sizes in bytes. Server and service are remembered by name: they may be gone when the backup is still wanted. */
export interface ArtifactRecord {
  id: string;
  serverId: string;
  serverName: string;
  serviceId: string;
  serviceName: string;
  component: string;
  paths: string[];
  status: ArtifactStatus;
  key: string | null;
  sha256: string | null;
  storedBytes: number | null;
  contentBytes: number | null;
  files: number | null;
  directories: number | null;
  warnings: number;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  startedAt: Date | null;
  completedAt: Date | null;
}

export type ArtifactDraft = Pick<
  ArtifactRecord,
  'id' | 'serverId' | 'serverName' | 'serviceId' | 'serviceName' | 'component' | 'paths'
>;

export interface ArtifactDone {
  key: string;
  sha256: string;
  storedBytes: number;
  tarBytes: number;
  contentBytes: number;
  files: number;
  directories: number;
  otherEntries: number;
  warnings: number;
  attempt: number;
  startedAt: Date;
  completedAt: Date;
}

export interface Artifacts {
  complete(id: string, done: ArtifactDone): Promise<void>;
  fail(id: string, failure: Failure, at: Date): Promise<void>;
}

export function createArtifacts(db: Db): Artifacts {
  return {
    async complete(id, done) {
      await db.artifact.update({
        where: { id },
        data: { ...done, status: 'completed', errorCode: null, errorMessage: null },
        select: { id: true },
      });
    },
    async fail(id, failure, completedAt) {
      await db.artifact.update({
        where: { id },
        data: {
          status: failure.code === 'CANCELLED' ? 'cancelled' : 'failed',
          errorCode: failure.code,
          errorMessage: failure.message,
          completedAt,
        },
        select: { id: true },
      });
    },
  };
}

export function toArtifact(row: Artifact): ArtifactRecord {
  const number = (value: bigint | null): number | null => (value === null ? null : Number(value));
  return {
    id: row.id,
    serverId: row.serverId,
    serverName: row.serverName,
    serviceId: row.serviceId,
    serviceName: row.serviceName,
    component: row.component,
    paths: row.paths,
    status: row.status as ArtifactStatus,
    key: row.key,
    sha256: row.sha256,
    storedBytes: number(row.storedBytes),
    contentBytes: number(row.contentBytes),
    files: number(row.files),
    directories: number(row.directories),
    warnings: row.warnings,
    errorCode: row.errorCode as ErrorCode | null,
    errorMessage: row.errorMessage,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
  };
}
