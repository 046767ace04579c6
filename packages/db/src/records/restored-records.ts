import { type HandedRecord, READ_RECORD_KINDS, type ReadRecordKind } from '@tarfleet/contracts';
import { type Page, type PageRequest, readPage } from '../page.ts';
import type { Db } from '../prisma-client.ts';
import { translateError } from '../translate-error.ts';

export interface StagedRecord {
  seq: number;
  kind: HandedRecord[0];
  line: string;
}

/** `data` is as it was when the backup was made. */
export interface RestoredRecord {
  id: string;
  restoreJobId: string;
  kind: ReadRecordKind;
  data: Record<string, unknown>;
  restoredAt: Date;
}

/** A project's own records on their way out of a backup. */
export interface RestoredRecords {
  /** Holds these until the job ends, the first of them with this number; what is there from 0 on goes when an attempt begins anew. */
  stage(jobId: string, from: number, records: readonly HandedRecord[]): Promise<void>;
  /** In their order, after a number. */
  staged(jobId: string, after: number, limit: number): Promise<StagedRecord[]>;
  unstage(jobId: string): Promise<void>;
  /** Inside a transaction: what `action` did is undone when it rejects, and the transaction can go on. */
  attempt<T>(action: () => Promise<T>): Promise<T>;
  /** Makes what is staged of those kinds that are for reading the project's, in place of those of an earlier restore. */
  keepForReading(jobId: string, projectId: number, at: Date): Promise<void>;
  /** In the order of the backup; of the audit log the newest first. */
  list(filter: PageRequest & { projectId: number; kind: ReadRecordKind }): Promise<Page<RestoredRecord>>;
}

export function createRestoredRecords(db: Db): RestoredRecords {
  const unstage = async (jobId: string): Promise<void> => {
    await db.stagedRecord.deleteMany({ where: { jobId } });
  };
  return {
    async stage(jobId, from, records) {
      if (from === 0) await unstage(jobId);
      const data = records.map(([kind, line], at) => ({ jobId, seq: from + at, kind, line }));
      await db.stagedRecord.createMany({ data });
    },
    async staged(jobId, after, take) {
      const rows = await db.stagedRecord.findMany({
        where: { jobId, seq: { gt: after } },
        orderBy: { seq: 'asc' },
        take,
      });
      return rows.map(({ seq, kind, line }) => ({ seq, kind: kind as StagedRecord['kind'], line }));
    },
    unstage,
    async attempt(action) {
      await db.$executeRaw`SAVEPOINT project_records`;
      try {
        const result = await action();
        await db.$executeRaw`RELEASE SAVEPOINT project_records`;
        return result;
      } catch (error) {
        await db.$executeRaw`ROLLBACK TO SAVEPOINT project_records`;
        throw translateError(error);
      }
    },
    async keepForReading(jobId, projectId, at) {
      await db.restoredRecord.deleteMany({ where: { projectId } });
      await db.$executeRaw`
        INSERT INTO restored_records (project_id, restore_job_id, kind, data, restored_at)
        SELECT ${projectId}::int, job_id, kind, line::jsonb, ${at} FROM staged_records
        WHERE job_id = ${jobId}::uuid AND kind = ANY(${[...READ_RECORD_KINDS]}::text[]) ORDER BY seq`;
    },
    list({ projectId, kind, ...request }) {
      const where = { projectId, kind };
      return readPage(
        request,
        (range) => db.restoredRecord.findMany({ ...range, where, orderBy: { id: 'asc' } }),
        () => db.restoredRecord.count({ where }),
        (row) => ({
          ...{ id: String(row.id), restoreJobId: row.restoreJobId, kind, restoredAt: row.restoredAt },
          data: row.data as RestoredRecord['data'],
        }),
      );
    },
  };
}
