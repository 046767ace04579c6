import type { RecordsMode } from '@tarfleet/contracts';
import type { FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { RestoreRequest } from '../../planner/restore.ts';
import { forbidden } from '../../plugins/access.ts';
import type { Role } from '../../plugins/actor.ts';

export interface RecordsWish {
  wanted: RecordsMode | 'none' | undefined;
  backup: FullBackup;
  role: Role;
  /** Whether it is all of the backup that is restored, and to where it was. */
  whole: boolean;
  /** Where to. */
  projectId: number;
}

/**
 * What a restore does with the project's own records. Whoever does not ask gets them with a whole backup, where they may:
 * destinations and schedules are for administrators; and never in another project, which has its own. INSUFFICIENT_PERMISSIONS, CONFLICT for what was asked and cannot be.
 */
export function wantedRecords({ wanted, backup, role, whole, projectId }: RecordsWish): {
  records: RestoreRequest['records'];
  warnings: string[];
} {
  const none = (...warnings: string[]) => ({ records: undefined, warnings });
  const own = projectId === backup.projectId;
  if (wanted === 'none' || (wanted === undefined && !(whole && own && backup.records))) return none();
  const mayBe = role === 'admin';
  if (!mayBe && wanted !== undefined) throw forbidden('admin');
  if (!mayBe) return none("The project's own records were not restored: that needs the role admin.");
  if (backup.records && backup.recordsArtifact?.status === 'completed') {
    return { records: { mode: wanted ?? 'missing', projectId }, warnings: [] };
  }
  if (wanted === undefined) return none("The backup does not hold the project's own records: they failed.");
  throw new AppError(
    'CONFLICT',
    "The backup does not hold the project's own records: those of a whole project do. Leave `records` out, or send none.",
  );
}

/** What a look at a restore says of them: what the backup holds, not what differs. */
export function recordsHeld({ records }: Pick<FullBackup, 'records'>): string[] {
  if (!records) return [];
  const counts = Object.entries(records.counts).map(([kind, count]) => `${count} ${kind.replace('_', ' ')}`);
  return [`The backup holds the project's own records: ${counts.join(', ')}.`];
}
