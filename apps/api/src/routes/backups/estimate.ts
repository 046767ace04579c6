import type { ArtifactRecord, PastRestore } from '@tarfleet/db';

/** What a restore takes, however little it restores: connecting, looking around, starting services. In seconds. */
const BASE_SECONDS = 3;

/** How long past work on the same services took. */
export interface Past {
  restores: readonly Pick<PastRestore, 'bytes' | 'seconds' | 'downSeconds'>[];
  /** Of the backup that is to be restored. */
  artifacts: readonly Pick<ArtifactRecord, 'contentBytes' | 'startedAt' | 'completedAt'>[];
}

/**
 * Seconds that restoring so many bytes takes: at the rate of past restores of these services, else at that of their
 * backup. Null when there is neither, or the size is not known.
 */
export function estimateDuration(bytes: number | null, { restores, artifacts }: Past): number | null {
  if (bytes === null) return null;
  const rate = rateOf(restores) ?? rateOf(artifacts.flatMap(workOf));
  return rate === null ? null : Math.ceil(BASE_SECONDS + bytes / rate);
}

/** Seconds for which services stand still: zero when none does, null when no restore tells. */
export function estimateDowntime(stops: boolean, { restores }: Pick<Past, 'restores'>): number | null {
  if (!stops) return 0;
  if (restores.length === 0) return null;
  return Math.ceil(restores.reduce((sum, { downSeconds }) => sum + downSeconds, 0) / restores.length);
}

/** Bytes a second. What takes next to no time tells nothing of large amounts, so it counts as a whole second. */
function rateOf(work: readonly { bytes: number; seconds: number }[]): number | null {
  const bytes = work.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes <= 0) return null;
  const seconds = work.reduce((sum, one) => sum + one.seconds - BASE_SECONDS, 0);
  return bytes / Math.max(1, seconds);
}

function workOf({ contentBytes, startedAt, completedAt }: Past['artifacts'][number]) {
  if (contentBytes === null || !startedAt || !completedAt) return [];
  return [{ bytes: contentBytes, seconds: (completedAt.getTime() - startedAt.getTime()) / 1000 }];
}
