/** Real records and a real destination, with workers played step by step: each can die between any two removals. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ArtifactPlan, ArtifactResult } from '@tarfleet/contracts';
import type { FullBackup, JobRecord, ServiceRecord } from '@tarfleet/db';
import type { Storage } from '@tarfleet/storage';
import { createRecorder } from '../recorder/record.ts';
import { artifactResult, attemptOf, backupResult, type RunFixture, STARTED, silent } from './run-fixture.ts';

/** An object by its key, with its SHA-256. */
type Named = [key: string, sha256: string];

interface Manifest {
  backupId: string;
  /** All that is needed to restore it, in whichever backup it lies. */
  needs: Named[];
}

export type StoredWorld = ReturnType<typeof createStoredWorld>;

const never = new AbortController().signal;

export function createStoredWorld(t: RunFixture, storage: Storage, random: () => number) {
  const recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
  /** Backups that are being carried out: their keys have no attempt of their own here. */
  const taken = new Set<string>();
  let attempts = 1000;
  const attempt = (): number => {
    attempts += 1;
    return attempts;
  };

  const put = async (key: string, content: Buffer): Promise<Named> => {
    const { sha256 } = await storage.put(key, Readable.from([content]), { signal: never });
    return [key, sha256];
  };
  const read = async (key: string): Promise<Buffer> => buffer(await storage.get(key, { signal: never }));
  const hashOf = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

  /** Stores an archive and an index, which points into some of the archives that its parent's index points into. */
  async function capture({ jobId, keyPrefix, parent }: ArtifactPlan): Promise<ArtifactResult> {
    const stem = `${keyPrefix}/${jobId}/1001-abcdefabcdef`;
    const own = await put(`${stem}.tar.gz`, randomBytes(40));
    const key = await put(`${stem}.tar.gz.key.primary.json`, randomBytes(16));
    const inherited: [artifactId: string, backupId: string, named: Named[]][] = [];
    if (parent) {
      const index = JSON.parse(
        String(await read(`${parent.keyPrefix}/${parent.artifactId}/1001-abcdefabcdef.index.gz`)),
      ) as typeof inherited;
      // Of what an older one held something may be gone; the parent itself nearly always holds something.
      inherited.push(...index.filter(([id]) => random() < (id === parent.artifactId ? 0.9 : 0.7)));
    }
    const entry = [jobId, keyPrefix.slice(-36), [own, key]] as const;
    const content = Buffer.from(JSON.stringify([entry, ...inherited]));
    const [indexKey, sha256] = await put(`${stem}.index.gz`, content);
    return {
      ...artifactResult(jobId, keyPrefix),
      ...{ key: own[0], sha256: own[1], storedBytes: 40 },
      ...{ startedAt: new Date().toISOString(), endedAt: new Date().toISOString() },
      index: { key: indexKey, sha256, storedBytes: content.length, entries: 1, files: 1, contentBytes: 1 },
      parent: parent ? { backupId: parent.backupId, artifactId: parent.artifactId } : null,
      ancestors: inherited.map(([artifactId, backupId]) => ({ artifactId, backupId })),
    };
  }

  async function needsOf(artifacts: ArtifactResult[]): Promise<Named[]> {
    const needs: Named[] = [];
    for (const { index } of artifacts) {
      if (!index) continue;
      needs.push([index.key, index.sha256]);
      const entries = JSON.parse(String(await read(index.key))) as [string, string, Named[]][];
      needs.push(...entries.flatMap(([, , named]) => named));
    }
    return needs;
  }

  return {
    recorder,
    /** A backup as the planner makes it, which nobody has begun to carry out. */
    plan: (
      services: ServiceRecord[],
      type: 'full' | 'incremental' | 'differential',
      scheduleId: string | null = null,
    ) => t.storeBackup(services, { type, retentionDays: null, scheduleId }),

    /** Carries a planned backup out; some of it fails where asked for. */
    async carryOut({ id }: Pick<JobRecord, 'id'>, failing: number): Promise<void> {
      if (taken.has(id)) return;
      taken.add(id);
      const backup = (await t.db.backups.get(id)) as FullBackup;
      const children = await t.db.jobs.children(id);
      const artifacts: ArtifactResult[] = [];
      const failed = [];
      for (const child of children) {
        if (random() < failing) {
          const failure = { code: 'PATH_NOT_FOUND', message: 'gone', retryable: false } as const;
          failed.push({ artifactId: child.id, serviceId: child.id, serviceName: 'app', failure });
        } else {
          artifacts.push(await capture(JSON.parse(child.plan) as ArtifactPlan));
        }
      }
      const state = failed.length === 0 ? 'completed' : artifacts.length > 0 ? 'partial' : 'failed';
      const job = { id, kind: 'backup' as const };
      if (state === 'failed') {
        const { failure } = failed[0] as (typeof failed)[number];
        await recorder.record(attemptOf(job)(1, STARTED, { type: 'ended', state, failure }));
        return;
      }
      const manifest: Manifest = { backupId: id, needs: await needsOf(artifacts) };
      const content = Buffer.from(JSON.stringify(manifest));
      await storage.create(`${backup.keyPrefix}/manifest.json`, content, never);
      const result = backupResult(backup.keyPrefix, { artifacts, failed, manifestSha256: hashOf(content) });
      await recorder.record(attemptOf(job)(1, STARTED, { type: 'ended', state, result }));
    },

    /** Ends a job that only looks: a verification. */
    async endLook(job: Pick<JobRecord, 'id' | 'kind'>): Promise<void> {
      const failure = { code: 'CANCELLED', message: 'enough', retryable: false } as const;
      await recorder.record(attemptOf(job)(1, STARTED, { type: 'ended', state: 'cancelled', failure }));
    },

    /**
     * Works on a deletion as a worker does: the manifest first, then the rest. Dies after so many removals; tells of
     * the end only when it got there and is let.
     */
    async workOnDelete(job: JobRecord, { most = Infinity, tells = true } = {}): Promise<void> {
      const { keyPrefix } = JSON.parse(job.plan) as { keyPrefix: string };
      const keys = [`${keyPrefix}/manifest.json`];
      for await (const { key } of storage.list(keyPrefix, never)) if (!keys.includes(key)) keys.push(key);
      let removed = 0;
      for (const key of keys) {
        if (removed === most) return;
        await storage.delete(key, never);
        removed += 1;
      }
      const result = { kind: 'delete' as const, objects: removed, bytes: 0 };
      if (tells) {
        await recorder.record(
          attemptOf(job, attempt())(1, STARTED, { type: 'ended', state: 'completed', result }),
        );
      }
    },
    async failDelete(job: JobRecord, code: 'STORAGE_FAILED' | 'CANCELLED'): Promise<void> {
      const state = code === 'CANCELLED' ? 'cancelled' : 'failed';
      const failure = { code, message: code, retryable: false };
      await recorder.record(attemptOf(job, attempt())(1, STARTED, { type: 'ended', state, failure }));
    },

    /** What is wrong with the stored objects of a backup that is there, or hidden; nothing, it is hoped. */
    async faultsOf({ id, keyPrefix, manifestSha256 }: FullBackup): Promise<string[]> {
      const manifestKey = `${keyPrefix}/manifest.json`;
      if (!(await storage.stat(manifestKey, never))) return [`${id}: no manifest`];
      const content = await read(manifestKey);
      if (hashOf(content) !== manifestSha256) return [`${id}: another manifest`];
      const faults: string[] = [];
      for (const [key, sha256] of (JSON.parse(String(content)) as Manifest).needs) {
        const there = await storage.stat(key, never);
        if (!there) faults.push(`${id}: ${key} is gone`);
        else if (hashOf(await read(key)) !== sha256) faults.push(`${id}: ${key} is another`);
      }
      return faults;
    },
    async objectsBelow(prefix: string): Promise<string[]> {
      const keys: string[] = [];
      for await (const { key } of storage.list(prefix, never)) keys.push(key);
      return keys;
    },
  };
}
