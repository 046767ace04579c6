import type { VerifyLevel, VerifyPlan } from '@tarfleet/contracts';
import type { ArtifactRecord, Database, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { RunDraft } from '../dispatcher.ts';
import { assertKeysKnown } from './encryption-keys.ts';
import { assertRestorable, type OnBackupRequest, prepare, relock } from './on-backup.ts';
import type { PlanKeys } from './targets.ts';

export interface VerifyRequest extends OnBackupRequest {
  /** Default `quick`, which needs no key. */
  level?: VerifyLevel;
  /** Null or left out: all. */
  components?: string[] | null;
}

/** Plans a verification. COMPONENT_NOT_FOUND, ENCRYPTION_KEY_NOT_FOUND, BACKUP_INCOMPLETE. */
export async function planVerify(
  deps: { db: Database; keys: PlanKeys },
  { level = 'quick', components = null, ...request }: VerifyRequest,
): Promise<RunDraft> {
  const { backup } = request;
  const { base, toDraft } = await prepare(deps, request);
  const manifestSha256 = assertRestorable(backup);
  const artifacts = chooseArtifacts(backup, components);
  const whole = artifacts.length === backup.artifacts.filter(isThere).length;
  if (level !== 'quick') await assertKeysKnown(deps.db, base.pool, backup);
  const plan: VerifyPlan = {
    ...base,
    kind: 'verify',
    manifestSha256,
    level,
    serviceIds: whole ? null : artifacts.map(({ serviceId }) => serviceId),
    ancestors: level === 'quick' ? [] : await ancestorsOf(deps.db, artifacts),
  };
  return toDraft(plan, async (tx) => {
    assertRestorable(await relock(tx, backup.id));
  });
}

function chooseArtifacts(backup: FullBackup, components: string[] | null): ArtifactRecord[] {
  const there = backup.artifacts.filter(isThere);
  if (components === null) return there;
  const unknown = components.filter((name) => there.every(({ component }) => component !== name));
  if (unknown.length === 0) return there.filter(({ component }) => components.includes(component));
  const names = [...new Set(there.map(({ component }) => component))].sort().join(', ');
  throw new AppError(
    'COMPONENT_NOT_FOUND',
    `The backup holds no component ${unknown.join(', ')}. It holds: ${names}.`,
    { details: { components: unknown } },
  );
}

/** While this backup is there, so are they, hidden or not. */
async function ancestorsOf(db: Database, artifacts: ArtifactRecord[]): Promise<VerifyPlan['ancestors']> {
  const refs = await Promise.all(artifacts.map(({ id }) => db.artifacts.ancestorsOf(id)));
  const ids = new Set(refs.flat().map(({ backupId }) => backupId));
  const found = await Promise.all([...ids].map((id) => db.backups.find(id)));
  return found.flatMap((backup) =>
    backup?.manifestSha256 ? [{ backupId: backup.id, manifestSha256: backup.manifestSha256 }] : [],
  );
}

function isThere({ status }: ArtifactRecord): boolean {
  return status === 'completed';
}
