import { BLOCK_BYTES, MANIFEST_VERSION, type Manifest } from '@tarfleet/archive';
import type { ArtifactResult, BackupPlan, BackupResult } from '@tarfleet/contracts';
import { VERSION } from '../version.ts';

/** The closing record of a backup, from its plan and what its artifacts' jobs gave back. */
export function buildManifest(
  plan: BackupPlan,
  done: ArtifactResult[],
  failed: BackupResult['failed'],
  verifiedAt: string | null,
): Manifest {
  const planned = new Map(plan.artifacts.map((artifact) => [artifact.jobId, artifact]));
  return {
    format: 'tarfleet-backup',
    version: MANIFEST_VERSION,
    backupId: plan.jobId,
    projectId: plan.projectId,
    name: plan.name,
    type: plan.backupType,
    createdAt: plan.createdAt,
    completedAt: new Date().toISOString(),
    verifiedAt,
    software: { name: 'tarfleet', version: VERSION },
    encryption: plan.encryption && { format: 'AES256_GCM_HKDF_1MB', mac: null },
    compression: { ...plan.compression, blockBytes: BLOCK_BYTES },
    artifacts: done.map((artifact) => {
      const origin = planned.get(artifact.artifactId);
      if (!origin) throw new TypeError(`No such artifact in the plan: ${artifact.artifactId}`);
      const { id, name, type, component, configPaths, dataPaths, exclude } = origin.service;
      return {
        artifactId: artifact.artifactId,
        attempt: artifact.attempt,
        service: { id, name, type, component },
        server: { id: origin.serverId, name: origin.serverName },
        roots: [...configPaths, ...dataPaths],
        exclude,
        object: {
          name: artifact.key.slice(plan.keyPrefix.length + 1),
          bytes: artifact.storedBytes,
          sha256: artifact.sha256,
        },
        index: artifact.index && indexOf(artifact.index, plan),
        parent: artifact.parent,
        ancestors: artifact.ancestors,
        tarBytes: artifact.tarBytes,
        contentBytes: artifact.contentBytes,
        files: artifact.files,
        directories: artifact.directories,
        otherEntries: artifact.otherEntries,
        warnings: artifact.warnings,
        ...(artifact.database ? { database: artifact.database } : {}),
        startedAt: artifact.startedAt,
        endedAt: artifact.endedAt,
      };
    }),
    failed: failed.map(({ artifactId, serviceId, serviceName, failure }) => ({
      artifactId,
      serviceId,
      serviceName,
      component: planned.get(artifactId)?.service.component ?? '',
      code: failure.code,
      message: failure.message,
    })),
  };
}

function indexOf(
  { key, storedBytes, ...facts }: NonNullable<ArtifactResult['index']>,
  { keyPrefix }: BackupPlan,
): NonNullable<Manifest['artifacts'][number]['index']> {
  return { name: key.slice(keyPrefix.length + 1), bytes: storedBytes, ...facts };
}
