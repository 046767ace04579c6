import type { EndState, Failure, JobResult, ResultOf } from '@tarfleet/contracts';
import type { Repositories } from '@tarfleet/db';

/** How a job ended, as its event or the reconciler has it. */
export interface End {
  state: EndState;
  at: Date;
  result: JobResult | null;
  failure: Failure | null;
}

export interface SettleOptions {
  /** How long after the end of a backup its dead attempts' left-overs stay, in milliseconds. */
  sweepGraceMs: number;
}

export async function completeArtifact(tx: Repositories, result: ResultOf<'artifact'>): Promise<void> {
  const {
    kind: _kind,
    artifactId,
    startedAt,
    endedAt,
    index,
    parent,
    ancestors: _ancestors,
    database,
    ...done
  } = result;
  await tx.artifacts.complete(artifactId, {
    ...done,
    indexKey: index?.key ?? null,
    indexBytes: index?.storedBytes ?? null,
    parentId: parent?.artifactId ?? null,
    backupMethod: database?.method ?? null,
    tablesCount: database?.tables ?? null,
    recordsCount: database?.records ?? null,
    startedAt: new Date(startedAt),
    completedAt: new Date(endedAt),
  });
}

export function failureOf(end: Pick<End, 'failure'>): Failure {
  return end.failure ?? { code: 'INTERNAL', message: 'The job ended without a result.', retryable: false };
}
