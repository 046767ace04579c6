import type { JobEvent } from '@tarfleet/contracts';
import type { Prisma, JobEvent as Row } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

/** They have their effect elsewhere, and are nobody's to see: a project's own records, what a survey found. */
const HELD: JobEvent['type'][] = ['records', 'found'];

export interface StoredEvent {
  /** Rises in the order of commit within a job and its parent: a client resumes after it. */
  id: bigint;
  jobId: string;
  attempt: number;
  event: JobEvent;
}

export interface JobEvents {
  /** Stores what is not stored yet. Gives what was stored before of this attempt after a number, in order. */
  add(jobId: string, attempt: number, events: JobEvent[], afterSeq: number): Promise<StoredEvent[]>;
  /** Of one attempt, after a number, in order. */
  ofAttempt(jobId: string, attempt: number, afterSeq: number): Promise<StoredEvent[]>;
  /** Of a job and its children, after an id, in order; only what whoever sees the job may see. */
  after(rootId: string, afterId: bigint, limit: number): Promise<StoredEvent[]>;
  /** Steps and warnings of a job and its children, newest `limit` of them, in order. */
  ofTypes(rootId: string, types: JobEvent['type'][], limit: number): Promise<StoredEvent[]>;
  /** Removes one that has had its effect: what a survey tells of is kept elsewhere. */
  forget(jobId: string, attempt: number, seq: number): Promise<void>;
  /** Removes those of every attempt that wait to have their effect, of a job that is at its end. */
  forgetHeld(jobId: string): Promise<void>;
  /** True when an `ended` event of this attempt is stored. */
  hasEnded(jobId: string, attempt: number): Promise<boolean>;
}

export function createJobEvents(db: Db): JobEvents {
  const ofRoot = (rootId: string): Prisma.JobEventWhereInput => ({
    OR: [{ jobId: rootId }, { job: { parentId: rootId } }],
  });
  return {
    async add(jobId, attempt, events, afterSeq) {
      const given = events.map(({ seq, at, type, ...data }) => ({ seq, at, type, data }));
      // One statement sees the table as it was before it, so the rows below are those of earlier batches.
      const rows = await db.$queryRaw<Row[]>`
        WITH added AS (
          INSERT INTO job_events (job_id, attempt, seq, type, data, at)
          SELECT ${jobId}::uuid, ${attempt}::int, seq, type, data, at
          FROM jsonb_to_recordset(${JSON.stringify(given)}::jsonb)
            AS given(seq int, type text, data jsonb, at timestamptz)
          ORDER BY seq
          ON CONFLICT (job_id, attempt, seq) DO NOTHING
        )
        SELECT id, job_id AS "jobId", attempt, seq, type, data, at, recorded_at AS "recordedAt" FROM job_events
        WHERE job_id = ${jobId}::uuid AND attempt = ${attempt}::int AND seq > ${afterSeq}::int
        ORDER BY seq`;
      return rows.map(toStored);
    },
    async ofAttempt(jobId, attempt, afterSeq) {
      const rows = await db.jobEvent.findMany({
        where: { jobId, attempt, seq: { gt: afterSeq } },
        orderBy: { seq: 'asc' },
      });
      return rows.map(toStored);
    },
    async after(rootId, afterId, take) {
      const rows = await db.jobEvent.findMany({
        where: { ...ofRoot(rootId), id: { gt: afterId }, type: { notIn: HELD } },
        orderBy: { id: 'asc' },
        take,
      });
      return rows.map(toStored);
    },
    async ofTypes(rootId, types, take) {
      const rows = await db.jobEvent.findMany({
        where: { ...ofRoot(rootId), type: { in: types } },
        orderBy: { id: 'desc' },
        take,
      });
      return rows.map(toStored).reverse();
    },
    async forget(jobId, attempt, seq) {
      await db.jobEvent.deleteMany({ where: { jobId, attempt, seq } });
    },
    async forgetHeld(jobId) {
      await db.jobEvent.deleteMany({ where: { jobId, type: { in: HELD } } });
    },
    async hasEnded(jobId, attempt) {
      const row = await db.jobEvent.findFirst({
        where: { jobId, attempt, type: 'ended' },
        select: { id: true },
      });
      return row !== null;
    },
  };
}

function toStored(row: Row): StoredEvent {
  const { seq, type, at, data } = row;
  const event = { ...(data as object), seq, type, at: at.toISOString() } as JobEvent;
  return { id: row.id, jobId: row.jobId, attempt: row.attempt, event };
}
