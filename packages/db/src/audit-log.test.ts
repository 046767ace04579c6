import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import type { AuditEntry } from './audit-entry.ts';
import { type AuditFilter, createAuditId } from './audit-log.ts';
import { createDatabase } from './database.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;
beforeAll(async () => {
  db = await openMigratedDatabase();
});
afterAll(() => db.close());

function entry(change: Partial<AuditEntry> = {}): AuditEntry {
  const at = change.at ?? new Date();
  return {
    ...{ id: createAuditId(at), at, userId: crypto.randomUUID(), userEmail: 'a@example.com', via: 'session' },
    ...{ tokenId: null, tokenName: null, action: 'server.update', method: 'PATCH' },
    ...{ route: '/api/servers/:id', targetType: 'server', targetId: 'x', projectId: 1 },
    ...{ outcome: 'succeeded', status: 200, errorCode: null, requestId: 'req-1', ip: '10.0.0.1' },
    details: { fields: ['name'] },
    ...change,
  };
}
const list = (filter: Partial<AuditFilter> = {}) => db.auditLog.list({ seenBy: null, limit: 50, ...filter });
const ids = async (filter: Partial<AuditFilter>) => (await list(filter)).map(({ id }) => id);

test('rows come back as they were added, and can be neither changed nor removed', async () => {
  const whole = entry({ tokenId: crypto.randomUUID(), tokenName: 'ci', requestId: 'raw' });
  await db.auditLog.add(whole);
  expect(await list({ requestId: 'raw' })).toEqual([whole]);

  // As the application's own database user, without the application.
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  try {
    for (const sql of [
      "UPDATE audit_log SET user_email = 'b@example.com'",
      'UPDATE audit_log SET ip = ip WHERE false',
      'DELETE FROM audit_log',
      'DELETE FROM audit_log WHERE false',
      'TRUNCATE audit_log',
      'TRUNCATE audit_log CASCADE',
      "INSERT INTO audit_log SELECT * FROM audit_log ON CONFLICT (id) DO UPDATE SET ip = 'x'",
      'MERGE INTO audit_log USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE',
    ]) {
      await expect(client.query(sql)).rejects.toThrow('audit_log is append-only');
    }
  } finally {
    await client.end();
  }
  expect(await list({ requestId: 'raw' })).toEqual([whole]);
});

test('the owner of the table removes old rows as docs/operations.md says, and the trigger is back after', async () => {
  await db.auditLog.add(entry({ at: new Date('2024-05-05T00:00:00Z'), requestId: 'old' }));
  const text = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const sql = /BEGIN;\nALTER TABLE audit_log[\s\S]+?COMMIT;/.exec(text)?.[0];
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  try {
    await client.query(sql!);
    expect(await list({ requestId: 'old' })).toEqual([]);
    expect(await list({ requestId: 'raw' })).toHaveLength(1);
    await client.query('SET session_replication_role = replica');
    await expect(client.query('DELETE FROM audit_log')).rejects.toThrow('append-only: DELETE refused');
  } finally {
    await client.end();
  }
});

test('what has begun becomes one row, however often it ends', async () => {
  const begun = entry({ requestId: 'begun' });
  await db.auditLog.begin(begun);
  expect(await list({ requestId: 'begun' })).toEqual([]);
  const ends = await Promise.all([1, 2, 3].map(() => db.auditLog.end(begun)));
  expect(ends.filter(Boolean)).toHaveLength(1);
  expect(await list({ requestId: 'begun' })).toEqual([begun]);
  expect(await db.auditLog.end(entry({ requestId: 'never begun' }))).toBe(false);
  expect(await list({ requestId: 'never begun' })).toEqual([]);
});

test('what never ended is settled as unknown, and an end after that changes nothing', async () => {
  const old = entry({ at: new Date(Date.now() - 600_000), requestId: 'lost' });
  const young = entry({ requestId: 'young' });
  await db.auditLog.begin(old);
  await db.auditLog.begin(young);
  const before = new Date(Date.now() - 300_000);
  const settled = await Promise.all([db.auditLog.settle(before), db.auditLog.settle(before)]);
  expect(settled[0]! + settled[1]!).toBe(1);
  const unknown = { ...old, outcome: 'unknown', status: null, errorCode: null };
  expect(await list({ requestId: 'lost' })).toEqual([unknown]);
  expect(await db.auditLog.end(old)).toBe(false);
  expect(await list({ requestId: 'lost' })).toEqual([unknown]);
  expect(await list({ requestId: 'young' })).toEqual([]);
  expect(await db.auditLog.end(young)).toBe(true);
});

test('an end that is part of a transaction is undone with it', async () => {
  const begun = entry({ requestId: 'undone' });
  await db.auditLog.begin(begun);
  const own = createDatabase({ url: db.url });
  const work = own.transaction(async (tx) => {
    await tx.auditLog.end(begun);
    throw new Error('no');
  });
  await expect(work).rejects.toThrow('no');
  await own.close();
  expect(await list({ requestId: 'undone' })).toEqual([]);
  expect(await db.auditLog.end(begun)).toBe(true);
});

test('filters, in any combination, newest first and page by page', async () => {
  const start = Date.parse('2026-03-01T00:00:00.000Z');
  const at = (n: number): Date => new Date(start + n);
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  const rows = [
    entry({ at: at(0), userId: one, action: 'restore.start', targetId: 't1', projectId: 71 }),
    entry({ at: at(1), userId: two, action: 'restore.start', outcome: 'refused', projectId: 71 }),
    entry({ at: at(2), userId: one, action: 'restores.start', targetType: 'job', projectId: 72 }),
    entry({ at: at(3), userId: null, action: 'auth.login_failed', projectId: null }),
  ];
  for (const row of rows) await db.auditLog.add(row);
  const [a, b, c, d] = rows.map(({ id }) => id);
  const span = { from: at(0), to: at(3) };
  expect(await ids(span)).toEqual([d, c, b, a]);
  expect(await ids({ from: at(1), to: at(2) })).toEqual([c, b]);
  expect(await ids({ ...span, action: 'restore.' })).toEqual([b, a]);
  expect(await ids({ ...span, action: 'restore' })).toEqual([c, b, a]);
  expect(await ids({ ...span, userId: one })).toEqual([c, a]);
  expect(await ids({ ...span, userId: one, projectId: 71 })).toEqual([a]);
  expect(await ids({ ...span, targetType: 'job' })).toEqual([c]);
  expect(await ids({ ...span, targetId: 't1' })).toEqual([a]);
  expect(await ids({ ...span, outcome: 'refused' })).toEqual([b]);
  expect(await ids({ ...span, limit: 2 })).toEqual([d, c]);
  expect(await ids({ ...span, limit: 2, before: c! })).toEqual([b, a]);
  const seen = (userId: string, ...projectIds: number[]) => ids({ ...span, seenBy: { userId, projectIds } });
  expect(await seen(one)).toEqual([c, a]);
  expect(await seen(two, 72)).toEqual([c, b]);
  expect(await seen(one, 71, 72)).toEqual([c, b, a]);
  expect(await ids({ ...span, limit: 1, seenBy: { userId: one, projectIds: [71] }, before: c! })).toEqual([
    b,
  ]);
  expect(await seen(crypto.randomUUID())).toEqual([]);
});
