import { type ArtifactPlan, PROJECT_RECORDS, type RecordsSummary } from '@tarfleet/contracts';
import type { ArtifactDraft, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { projectRecordsInfo, sealFor } from '@tarfleet/vault';
import { v7 as uuidv7 } from 'uuid';
import { type PlanKeys, poolKey } from '../targets.ts';
import { collectRecords } from './collect-records.ts';

export interface PlannedRecords {
  plan: ArtifactPlan;
  summary: RecordsSummary;
}

export interface PlanRecordsRequest {
  /** The plan of one of the backup's services. */
  like: ArtifactPlan;
  automatic: boolean;
  warn(message: string): void;
}

/**
 * The job that stores the project's own records: they travel in its plan, sealed for the pool. Null, with a warning,
 * when they are too long: then the backup is one of the services alone.
 */
export async function planRecords(
  { db, keys }: { db: Repositories; keys: PlanKeys },
  { like, automatic, warn }: PlanRecordsRequest,
): Promise<PlannedRecords | null> {
  const { projectId, backupId, pool, destination, issuedAt } = like;
  const wanted = { projectId, destinationId: destination.id, automatic, at: new Date(issuedAt) };
  const collected = await collectRecords(db, wanted).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'INSUFFICIENT_STORAGE') throw error;
    warn(`The project's own records are not in this backup. ${error.message}`);
    return null;
  });
  if (!collected) return null;
  const { packed, summary, auditLeftOut } = collected;
  if (auditLeftOut > 0) {
    warn(`${auditLeftOut} of the older rows of the audit log are not in this backup: there are too many.`);
  }
  const { serviceId: id, serviceName: name, serverId, serverName, component, type } = PROJECT_RECORDS;
  const plan: ArtifactPlan = {
    ...like,
    ...{ kind: 'artifact', jobId: uuidv7(), parent: null, deduplicate: false },
    server: { id: serverId, projectId, name: serverName, pool, kind: 'local' },
    service: { id, name, type, component, configPaths: [], dataPaths: [], exclude: [] },
    records: await sealFor(poolKey(keys, pool), projectRecordsInfo({ backupId, pool }), packed),
  };
  return { plan, summary };
}

/** The row of its artifact. */
export function recordsArtifact({ plan }: PlannedRecords): ArtifactDraft {
  const { serviceId, serviceName, serverId, serverName, component } = PROJECT_RECORDS;
  return {
    ...{ id: plan.jobId, serviceId, serviceName, serverId, serverName, component },
    ...{ paths: [], exclude: [], parentId: null, chainBegunAt: null },
  };
}
