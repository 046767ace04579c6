import type { DestinationRecord, Repositories } from '@tarfleet/db';

/** As document 2 has it. */
const DEFAULT_RETENTION_DAYS = 90;

/** For how many days a backup is kept of which nobody says it. Null where a policy rules: then that alone says how long. */
export async function defaultDays(
  tx: Repositories,
  {
    projectId,
    scheduleId,
    fallbackDays = DEFAULT_RETENTION_DAYS,
  }: { projectId: number; scheduleId: string | null; fallbackDays?: number | null },
  destination: DestinationRecord,
): Promise<number | null> {
  if (destination.retentionDays !== null) return destination.retentionDays;
  if (scheduleId !== null && (await tx.schedules.get(scheduleId))?.retention) return null;
  const { retention } = (await tx.projects.get(projectId)) ?? { retention: null };
  return (retention ?? destination.retention) ? null : fallbackDays;
}
