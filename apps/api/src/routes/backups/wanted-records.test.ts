import { expect, test } from '@jest/globals';
import type { RecordsSummary } from '@tarfleet/contracts';
import type { ArtifactRecord, FullBackup } from '@tarfleet/db';
import { type RecordsWish, recordsHeld, wantedRecords } from './wanted-records.ts';

const summary = { counts: { servers: 2, audit_logs: 7 }, sha256: 'a' } as unknown as RecordsSummary;
const backupOf = (records: RecordsSummary | null, status: ArtifactRecord['status'] = 'completed') =>
  ({ projectId: 5, records, recordsArtifact: records && { status } }) as unknown as FullBackup;
const ask = (wish: Partial<RecordsWish> = {}) =>
  wantedRecords({
    ...{ wanted: undefined, backup: backupOf(summary), role: 'admin', whole: true, projectId: 5 },
    ...wish,
  });
const none = { records: undefined, warnings: [] };

test('a whole restore by an administrator makes again what is missing; less than that, nothing', () => {
  expect(ask()).toEqual({ records: { mode: 'missing', projectId: 5 }, warnings: [] });
  expect(ask({ wanted: 'all', whole: false }).records).toEqual({ mode: 'all', projectId: 5 });
  expect(ask({ whole: false })).toEqual(none);
  expect(ask({ wanted: 'none' })).toEqual(none);
  expect(ask({ backup: backupOf(null) })).toEqual(none);
});

test('another project gets them only when they are asked for', () => {
  expect(ask({ projectId: 6 })).toEqual(none);
  expect(ask({ projectId: 6, role: 'operator' })).toEqual(none);
  expect(ask({ projectId: 6, wanted: 'missing' }).records).toEqual({ mode: 'missing', projectId: 6 });
  expect(ask({ projectId: 6, wanted: 'all' }).records).toEqual({ mode: 'all', projectId: 6 });
});

test.each(['operator', 'viewer'] as const)('a %s gets none, is told so, and may not ask', (role) => {
  expect(ask({ role })).toEqual({ records: undefined, warnings: [expect.stringContaining('role admin')] });
  expect(ask({ role, wanted: 'none' })).toEqual(none);
  expect(ask({ role, backup: backupOf(null) })).toEqual(none);
  expect(() => ask({ role, wanted: 'missing' })).toThrow(
    expect.objectContaining({ code: 'INSUFFICIENT_PERMISSIONS' }),
  );
});

test('what the backup does not hold is not promised', () => {
  const conflict = expect.objectContaining({ code: 'CONFLICT' });
  expect(() => ask({ wanted: 'missing', backup: backupOf(null) })).toThrow(conflict);
  expect(() => ask({ wanted: 'all', backup: backupOf(summary, 'failed') })).toThrow(conflict);
  expect(ask({ backup: backupOf(summary, 'failed') }).warnings).toEqual([
    expect.stringContaining('they failed'),
  ]);
});

test('a look says how many the backup holds', () => {
  expect(recordsHeld({ records: summary })).toEqual([
    "The backup holds the project's own records: 2 servers, 7 audit logs.",
  ]);
  expect(recordsHeld({ records: null })).toEqual([]);
});
