import { gunzipSync } from 'node:zlib';
import { type ArtifactPlan, type HandedRecord, type JobEventBody, RECORD_KINDS } from '@tarfleet/contracts';
import type { FullBackup } from '@tarfleet/db';
import { openSealed, projectRecordsInfo } from '@tarfleet/vault';
import { openRestoreFixture, type RestoreFixture } from './restore-fixture.ts';
import { artifactResult, backupResult } from './run-fixture.ts';

export interface RecordsFixture extends RestoreFixture {
  /** A completed backup of the whole project, and its records as a worker hands them back. */
  wholeBackup(): Promise<{ backup: FullBackup; records: HandedRecord[] }>;
}

export async function openRecordsFixture(): Promise<RecordsFixture> {
  const f = await openRestoreFixture();
  return {
    ...f,
    async wholeBackup() {
      const { job, draft, children } = await f.t.storeBackup([], { services: null, records: true });
      const plans = draft.children.map(({ plan }) => JSON.parse(plan) as ArtifactPlan);
      const sealed = plans.find(({ records }) => records)?.records;
      if (!sealed) throw new Error('no plan with records');
      const info = projectRecordsInfo({ backupId: job.id, pool: 'default' });
      const text = gunzipSync(await openSealed(f.t.poolKeys, info, sealed)).toString();
      const { keyPrefix } = (await f.t.db.backups.get(job.id)) as FullBackup;
      const artifacts = children.map(({ id }) => artifactResult(id, keyPrefix));
      await f.end(job, { state: 'completed', result: backupResult(keyPrefix, { artifacts }) });
      const records = text.trimEnd().split('\n').map(toRecord);
      return { backup: (await f.t.db.backups.get(job.id)) as FullBackup, records };
    },
  };
}

function toRecord(line: string): HandedRecord {
  const tab = line.indexOf('\t');
  const kind = [...RECORD_KINDS, 'metadata' as const].find((one) => one === line.slice(0, tab));
  if (!kind) throw new Error(`no kind in ${line}`);
  return [kind, line.slice(tab + 1)];
}

/** In events of at most so many. */
export function inEvents(records: HandedRecord[], most = 3): JobEventBody[] {
  const events: JobEventBody[] = [];
  for (let from = 0; from < records.length; from += most) {
    events.push({ type: 'records', from, records: records.slice(from, from + most) });
  }
  return events;
}
