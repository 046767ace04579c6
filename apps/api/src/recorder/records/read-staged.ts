import { createHash } from 'node:crypto';
import {
  ACTIVE_RECORD_KINDS,
  type ActiveRecordKind,
  createParser,
  RECORD_KINDS,
  RECORD_SCHEMAS,
  type RecordKind,
  type RecordsSummary,
} from '@tarfleet/contracts';
import type { RecordRow, Repositories, StagedRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

const AT_ONCE = 1000;
const parsers = Object.fromEntries(
  RECORD_KINDS.map((kind) => [kind, createParser(RECORD_SCHEMAS[kind])]),
) as Record<RecordKind, (value: unknown) => { ok: boolean; faults?: string[] }>;

export type StagedRows = Record<ActiveRecordKind, RecordRow[]>;

/**
 * The records that a restore handed back and that may be put in place, once it is certain that they are all there, and
 * byte for byte what the backup was given. RESTORE_FAILED where they are not.
 */
export async function readStaged(
  tx: Pick<Repositories, 'restoredRecords'>,
  jobId: string,
  expected: { records: number | undefined; summary: RecordsSummary | null },
): Promise<StagedRows> {
  const { records, summary } = expected;
  if (!summary) throw refused('the backup holds none');
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  const rows: StagedRows = { destinations: [], servers: [], services: [], schedules: [] };
  let seen = 0;
  for (;;) {
    const page = await tx.restoredRecords.staged(jobId, seen - 1, AT_ONCE);
    for (const staged of page) {
      if (staged.seq !== seen) throw refused(`record ${seen} of ${records ?? 'unknown'} is missing`);
      seen += 1;
      hash.update(`${staged.kind}\t${staged.line}\n`);
      counts[staged.kind] = (counts[staged.kind] ?? 0) + 1;
      const kind = ACTIVE_RECORD_KINDS.find((one) => one === staged.kind);
      if (kind) rows[kind].push(parseRow(kind, staged));
    }
    if (page.length < AT_ONCE) break;
  }
  if (seen !== records) throw refused(`${seen} of ${records ?? 'unknown'} records arrived`);
  const wrong = RECORD_KINDS.find((kind) => (counts[kind] ?? 0) !== summary.counts[kind]);
  if (wrong) throw refused(`${counts[wrong] ?? 0} of ${summary.counts[wrong]} ${wrong} arrived`);
  if (hash.digest('hex') !== summary.sha256) throw refused('they are not those that were backed up');
  return rows;
}

function parseRow(kind: ActiveRecordKind, { seq, line }: StagedRecord): RecordRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw refused(`record ${seq} of ${kind} is not JSON`);
  }
  const parsed = parsers[kind](value);
  if (parsed.ok) return value as RecordRow;
  throw refused(`record ${seq} of ${kind} is not as this version knows them: ${parsed.faults?.join('; ')}`);
}

function refused(why: string): AppError {
  return new AppError('RESTORE_FAILED', why);
}
