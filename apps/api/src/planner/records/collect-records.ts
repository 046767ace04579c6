import {
  RECORD_KINDS,
  RECORD_MAX,
  RECORDS_PACKED_MAX,
  RECORDS_TEXT_MAX,
  type RecordCounts,
  type RecordKind,
  type RecordsMetadata,
  type RecordsSummary,
} from '@tarfleet/contracts';
import type { Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { createRecordPacker, type RecordPacker } from './record-packer.ts';

const AT_ONCE = 500;
const AUDIT_MONTHS = 3;
/** The metadata come last and have room always. */
const LIMITS = { text: RECORDS_TEXT_MAX - RECORD_MAX, packed: RECORDS_PACKED_MAX };
/** Of the structure that users know, and of what writes it. */
const VERSIONS = { backup_version: '1.0', cloudbox_version: '1.0.0' } as const;

export interface RecordsRequest {
  projectId: number;
  destinationId: string;
  automatic: boolean;
  at: Date;
  /** Of all of them, in bytes; for tests. */
  limits?: RecordLimits;
}

interface RecordLimits {
  text: number;
  packed: number;
}

export interface CollectedRecords {
  /** Gzip: a line for each record, `kind`, a tab and JSON; the last one is the metadata. */
  packed: Buffer;
  summary: RecordsSummary;
  /** Rows of the audit log that were too many, the oldest. */
  auditLeftOut: number;
}

/**
 * Reads what Tarfleet itself keeps of a project, some at a time. Of the audit log, which comes last and its newest rows first, only what has room.
 * INSUFFICIENT_STORAGE when the rest alone is too long.
 */
export async function collectRecords(
  db: Pick<Repositories, 'projects' | 'projectRecords'>,
  request: RecordsRequest,
): Promise<CollectedRecords> {
  const { projectId, at } = request;
  const limits = request.limits ?? LIMITS;
  const auditSince = monthsBefore(at, AUDIT_MONTHS);
  const of = { projectId, destinationId: request.destinationId, auditSince };
  const packer = createRecordPacker();
  const counts = Object.fromEntries(RECORD_KINDS.map((kind) => [kind, 0])) as RecordCounts;
  let auditLeftOut = 0;
  for (const kind of RECORD_KINDS) {
    let after: string | null = null;
    for (;;) {
      const rows = await db.projectRecords.page(kind, of, after, AT_ONCE);
      const last = rows.at(-1);
      if (!last) break;
      const lines = rows.map(({ line }) => `${kind}\t${line}\n`);
      if (!hasRoom(packer, lines, limits)) {
        if (kind !== 'audit_logs') throw tooLong();
        auditLeftOut = await db.projectRecords.count(kind, of, after);
        break;
      }
      for (const { line } of rows) assertShort(kind, line);
      await packer.add(lines);
      counts[kind] += rows.length;
      after = last.id;
    }
  }
  const metadata: RecordsMetadata = {
    metadata: {
      ...{ project_id: projectId, project_name: (await db.projects.get(projectId))?.name ?? '' },
      ...{ created_at: at.toISOString(), backup_type: request.automatic ? 'automatic' : 'manual' },
      cloudbox_version: VERSIONS.cloudbox_version,
    },
    ...{ backup_version: VERSIONS.backup_version, counts },
    ...{ audit_since: auditSince.toISOString(), audit_left_out: auditLeftOut },
  };
  await packer.add([`metadata\t${JSON.stringify(metadata)}\n`]);
  const summary = { counts, sha256: packer.digest() };
  return { packed: await packer.end(), summary, auditLeftOut };
}

function hasRoom(packer: RecordPacker, lines: readonly string[], limits: RecordLimits): boolean {
  const { text, packed } = packer.size();
  const coming = lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
  return packed < limits.packed && text + coming <= limits.text;
}

function assertShort(kind: RecordKind, line: string): void {
  if (line.length > RECORD_MAX) {
    throw new AppError(
      'INSUFFICIENT_STORAGE',
      `A record of ${kind} is longer than ${RECORD_MAX} characters.`,
    );
  }
}

function tooLong(): AppError {
  return new AppError('INSUFFICIENT_STORAGE', `They are longer than ${RECORDS_TEXT_MAX} bytes.`);
}

function monthsBefore(at: Date, months: number): Date {
  const before = new Date(at);
  before.setUTCMonth(before.getUTCMonth() - months);
  return before;
}
