import type { FullBackup, PastArtifact, Repositories } from '@tarfleet/db';

/** What a backup will probably take, by what the same services took before, in other backups. Null where one of them has no past. */
export interface BackupEstimate {
  seconds: number | null;
  /** As stored. */
  bytes: number | null;
}

/** Its artifacts are captured side by side, so the slowest one tells how long it takes; then the backup is closed. */
export async function estimateBackup(
  db: Pick<Repositories, 'artifacts'>,
  backup: Pick<FullBackup, 'id' | 'artifacts'>,
): Promise<BackupEstimate> {
  const idsOf = (full: boolean): string[] =>
    backup.artifacts.filter(({ parentId }) => (parentId === null) === full).map(({ serviceId }) => serviceId);
  const past = [
    ...(await db.artifacts.past(idsOf(true), { full: true, but: backup.id })),
    ...(await db.artifacts.past(idsOf(false), { full: false, but: backup.id })),
  ];
  const ofEach = backup.artifacts.map(({ serviceId }) => past.filter((one) => one.serviceId === serviceId));
  if (ofEach.length === 0 || ofEach.some((mine) => mine.length === 0)) return { seconds: null, bytes: null };
  const capture = Math.max(...ofEach.map((mine) => mean(mine, ({ seconds }) => seconds)));
  const closing = mean(past, ({ closingSeconds }) => closingSeconds);
  const bytes = ofEach.reduce((sum, mine) => sum + mean(mine, ({ storedBytes }) => storedBytes), 0);
  return { seconds: Math.ceil(capture + closing), bytes: Math.round(bytes) };
}

function mean(past: readonly PastArtifact[], of: (one: PastArtifact) => number): number {
  return past.reduce((sum, one) => sum + of(one), 0) / past.length;
}
