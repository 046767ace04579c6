import type { JobEvent } from '@tarfleet/contracts';
import type { Prisma, JobEvent as Row } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export interface StoredEvent {
  /** Rises in the order of commit within a job and its parent: a client resumes after it. */
  id: bigint;
  jobId: string;
  attempt: number;
  event: JobEvent;
}

export interface JobEvents {
  /** Stores what is not stored yet. */
  add(jobId: string, attempt: number, events: JobEvent[]): Promise<void>;
  /** Of one attempt, after a number, in order. */
  ofAttempt(jobId: string, attempt: number, afterSeq: number): Promise<StoredEvent[]>;
  /** Of a job and its children, after an id, in order. */
  after(rootId: string, afterId: bigint, limit: number): Promise<StoredEvent[]>;
  /** Steps and warnings of a job and its children, newest `limit` of them, in order. */
  ofTypes(rootId: string, types: JobEvent['type'][], limit: number): Promise<StoredEvent[]>;
  /** True when an `ended` event of this attempt is stored. */
  hasEnded(jobId: string, attempt: number): Promise<boolean>;
}

export function createJobEvents(db: Db): JobEvents {
  const ofRoot = (rootId: string): Prisma.JobEventWhereInput => ({
    OR: [{ jobId: rootId }, { job: { parentId: rootId } }],
  });
  return {
    async add(jobId, attempt, events) {
      await db.jobEvent.createMany({
        data: events.map(({ seq, at, type, ...data }) => ({
          jobId,
          attempt,
          seq,
          at: new Date(at),
          type,
          data: data as Prisma.InputJsonObject,
        })),
        skipDuplicates: true,
      });
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
        where: { ...ofRoot(rootId), id: { gt: afterId } },
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
