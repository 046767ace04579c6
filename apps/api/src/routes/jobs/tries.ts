import type { Database, JobRecord, StoredEvent } from '@tarfleet/db';

/** Which try at its job an attempt is, from 1; 0 when no worker has begun it. */
export type TryOf = (jobId: string, attempt: number) => number;

/** The queue counts anew each time a job is handed to it; an attempt's number is that generation, times this, and the count. */
const GENERATION = 1000;
const MOST_BEGUN = 10_000;

/** Numbers the attempts of a job and its children. What is in the queue for the first time needs no look at the database. */
export async function readTries(
  db: Pick<Database, 'jobEvents'>,
  rootId: string,
  attempts: number[],
): Promise<TryOf> {
  if (attempts.every((attempt) => attempt < 2 * GENERATION)) return (_jobId, attempt) => attempt % GENERATION;
  return numberTries(await db.jobEvents.ofTypes(rootId, ['started'], MOST_BEGUN));
}

function numberTries(begun: StoredEvent[]): TryOf {
  return (jobId, attempt) => {
    const before = new Map<number, number>();
    const generation = Math.floor(attempt / GENERATION);
    for (const one of begun) {
      const earlier = Math.floor(one.attempt / GENERATION);
      if (one.jobId !== jobId || earlier >= generation) continue;
      before.set(earlier, Math.max(before.get(earlier) ?? 0, one.attempt % GENERATION));
    }
    return [...before.values()].reduce((sum, tries) => sum + tries, attempt % GENERATION);
  };
}

/** All attempts that a job's view names. */
export function attemptsIn(job: JobRecord, events: StoredEvent[]): number[] {
  const { result } = job;
  const archives = result?.kind === 'backup' ? result.artifacts : [];
  return [job, ...events, ...archives].map(({ attempt }) => attempt);
}
