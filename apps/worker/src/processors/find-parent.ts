import type { ArtifactPlan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { type OpenParent, openParent } from '../archives/parent.ts';
import type { JobContext } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** A parent that is damaged or gone makes the backup a full one: better that than none. */
export async function findParent(
  { keyring }: Pick<WorkerDeps, 'keyring'>,
  storage: Storage,
  { plan, report, signal }: JobContext<ArtifactPlan>,
): Promise<OpenParent | null> {
  const { parent } = plan;
  if (parent === null) return null;
  try {
    return await report.step('parent', 'Opening the backup to compare with', () =>
      openParent({ storage, keyring }, plan, parent, signal),
    );
  } catch (error) {
    if (!(error instanceof AppError) || !UNUSABLE.has(error.code)) throw error;
    report.warn({
      code: 'PARENT_UNUSABLE',
      message: `${plan.service.name}: everything was read, for the backup ${parent.backupId} could not be compared with: ${error.message}`,
    });
    return null;
  }
}

const UNUSABLE = new Set(['BACKUP_CORRUPTED', 'OBJECT_NOT_FOUND', 'NOT_SUPPORTED']);
