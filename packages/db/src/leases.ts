import type { JobKind } from '@tarfleet/contracts';
import type { Db } from './prisma-client.ts';

export interface Lease {
  serviceId: string;
  jobId: string;
  kind: JobKind;
}

export interface Leases {
  /** Takes every one of these services for a job, or none: the leases in the way come back, and the caller's transaction must be undone. */
  take(jobId: string, kind: JobKind, serviceIds: string[]): Promise<Lease[]>;
  /** Those that jobs hold now of these services. */
  held(serviceIds: readonly string[]): Promise<Lease[]>;
  release(jobId: string): Promise<void>;
  /** What one job holds is another's from now on, without a moment between. */
  handOver(fromId: string, to: { id: string; kind: JobKind }): Promise<void>;
  /** Gives back what jobs hold that have ended: a last resort, for the reconciler. */
  releaseEnded(): Promise<number>;
}

export function createLeases(db: Db): Leases {
  return {
    async take(jobId, kind, serviceIds) {
      const wanted = [...new Set(serviceIds)].sort();
      const { count } = await db.serviceLease.createMany({
        data: wanted.map((serviceId) => ({ serviceId, jobId, kind })),
        skipDuplicates: true,
      });
      if (count === wanted.length) return [];
      const rows = await db.serviceLease.findMany({
        where: { serviceId: { in: wanted }, jobId: { not: jobId } },
      });
      return rows.map((row) => ({ ...row, kind: row.kind as JobKind }));
    },
    async held(serviceIds) {
      const rows = await db.serviceLease.findMany({ where: { serviceId: { in: [...serviceIds] } } });
      return rows.map((row) => ({ ...row, kind: row.kind as JobKind }));
    },
    async release(jobId) {
      await db.serviceLease.deleteMany({ where: { jobId } });
    },
    async handOver(fromId, { id, kind }) {
      await db.serviceLease.updateMany({ where: { jobId: fromId }, data: { jobId: id, kind } });
    },
    async releaseEnded() {
      const { count } = await db.serviceLease.deleteMany({ where: { job: { endedAt: { not: null } } } });
      return count;
    },
  };
}
