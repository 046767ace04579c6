import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { HandedRecord, JobEventBody, RecordsMode } from '@tarfleet/contracts';
import type { FullBackup, JobDraft } from '@tarfleet/db';
import pg from 'pg';
import { inEvents, openRecordsFixture, type RecordsFixture } from '../../testing/records-fixture.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';
import { attemptOf, STARTED } from '../../testing/run-fixture.ts';

let f: RecordsFixture;
let sql: pg.Client;
let backup: FullBackup;
let records: HandedRecord[];
let ids: { server: string; service: string; destination: string; schedule: string };
const KEPT = '/var/lib/tarfleet/restores/x';
const AT = new Date('2026-01-02T03:04:05.000Z');
const db = () => f.t.db;

beforeAll(async () => {
  f = await openRecordsFixture();
  sql = new pg.Client({ connectionString: f.t.url });
  await sql.connect();
  await f.t.addService(f.t.server.id, { name: 'stays', dataPaths: ['/srv/stays'] });
});
afterAll(async () => {
  await sql.end();
  await f.t.close();
});

beforeEach(async () => {
  const names = `one ${Math.random()}`;
  const server = await f.t.addServer({ name: names, host: 'gone.example.com', environment: 'test' });
  const service = await f.t.addService(server.id, { name: 'web', dataPaths: ['/srv/web'] });
  const destination = await db().destinations.create({
    ...{ name: names, type: 'sftp', config: { host: 'x' }, secretCiphertext: 'v1.k.sealed' },
    ...{ retentionDays: null, isDefault: false },
  });
  const schedule = await db().schedules.create({
    ...{ projectId: f.t.project.id, name: names, type: 'full', enabled: true, cron: '0 3 * * *' },
    ...{ timeZone: 'UTC', catchUp: true, maxLatenessSeconds: 60, components: [], services: [service.id] },
    ...{ serverId: server.id, destinationId: destination.id, retentionDays: null, retention: null },
    ...{ encrypt: true, verify: true, compress: true, compressionLevel: 6, deduplicate: false },
    ...{ notification: null, nextAt: AT, activeSince: AT },
  });
  ids = {
    ...{ server: server.id, service: service.id, destination: destination.id, schedule: schedule.id },
  };
  ({ backup, records } = await f.wholeBackup());
});

const lose = async () => {
  await db().schedules.delete(ids.schedule);
  expect(await db().servers.delete(ids.server)).toBe(true);
  expect(await db().destinations.delete(ids.destination)).toBe(true);
};
const start = (mode: RecordsMode = 'missing', projectId = f.t.project.id): Promise<JobDraft> =>
  f.start(backup, { services: ['stays'], records: { mode, projectId } });
const ended = (count: number | undefined = records.length): JobEventBody => ({
  ...{ type: 'ended', state: 'completed' },
  result: { ...restoreResult({ rollbackPath: KEPT }), ...(count === undefined ? {} : { records: count }) },
});
/** A whole restore, as its worker tells it. */
const run = async (job: JobDraft, given = records, count?: number, attempt = 1001) =>
  f.recorder.record(attemptOf(job, attempt)(1, STARTED, ...inEvents(given), ended(count ?? given.length)));
const staged = async () => (await sql.query('SELECT count(*)::int AS n FROM staged_records')).rows[0].n;
const rowOf = async (table: string, id: string) =>
  (await sql.query(`SELECT * FROM ${table} WHERE id = $1`, [id])).rows[0];

test('what is not there any more comes back as it was, under its id; a schedule paused', async () => {
  const before = {
    server: await rowOf('servers', ids.server),
    service: await rowOf('services', ids.service),
  };
  await lose();
  const job = await start();
  await run(job);
  const server = await rowOf('servers', ids.server);
  const untimed = { created_at: null, updated_at: null };
  expect({ ...server, ...untimed }).toEqual({ ...before.server, ...untimed });
  expect({ ...(await rowOf('services', ids.service)), ...untimed }).toEqual({
    ...before.service,
    ...untimed,
  });
  expect(await rowOf('destinations', ids.destination)).toMatchObject({
    ...{ secret_ciphertext: 'v1.k.sealed', is_default: false, enabled: true },
  });
  expect(await rowOf('schedules', ids.schedule)).toMatchObject({
    ...{ enabled: false, next_at: null, cron: '0 3 * * *', server_id: ids.server, services: [ids.service] },
    destination_id: ids.destination,
  });
  const restore = await db().restores.get(job.id);
  expect(restore).toMatchObject({ status: 'completed', rollbackPath: KEPT });
  expect(restore?.recordNotices.join(' ')).toMatch(
    /1 destinations .* 1 servers .* 1 services \(web\), 1 sched.*paused/,
  );
  expect((await db().restores.steps(job.id)).at(-1)).toMatchObject({
    ...{ stepName: 'project_records', status: 'completed' },
  });
  expect(await staged()).toBe(0);
  // What came in events is kept as none.
  expect(await db().jobEvents.ofTypes(job.id, ['records'], 10)).toEqual([]);
});

test('what differs is left and named, or set back when that is asked for; what is newer stays', async () => {
  await db().servers.update(ids.server, { environment: 'other', hostKeyFingerprint: 'SHA256:new' });
  await db().services.update(ids.service, { dataPaths: ['/srv/other'] });
  const newer = await f.t.addService(ids.server, { name: 'newer' });
  const job = await start();
  await run(job);
  const said = (await db().restores.get(job.id))?.recordNotices.join(' ');
  expect(said).toContain('2 differ from the backup and were left: server one');
  expect(said).toContain('service web; restore with records: all');
  expect(await rowOf('servers', ids.server)).toMatchObject({ environment: 'other' });
  await run(await start('all'));
  expect(await rowOf('servers', ids.server)).toMatchObject({
    // The key of the same address is the one that was pinned last.
    ...{ environment: 'test', host_key_fingerprint: 'SHA256:new' },
  });
  expect(await rowOf('services', ids.service)).toMatchObject({ data_paths: ['/srv/web'] });
  expect(await rowOf('services', newer.id)).toMatchObject({ name: 'newer' });
  // Not touched: it did not differ.
  expect(await rowOf('schedules', ids.schedule)).toMatchObject({ enabled: true });
});

test('address and credentials are set back together; destinations never are', async () => {
  const sealed = { v: 1 as const, keyId: 'k2', enc: 'CCCC', ct: 'DDDD' };
  await db().servers.update(ids.server, { host: 'moved.example.com', sealed });
  await db().destinations.update(ids.destination, { config: { host: 'moved' } });
  await sql.query("UPDATE schedules SET cron = '0 4 * * *' WHERE id = $1", [ids.schedule]);
  const job = await start('all');
  await run(job);
  expect(await rowOf('servers', ids.server)).toMatchObject({
    ...{ host: 'gone.example.com', sealed: { ct: 'BBBB' } },
  });
  expect(await rowOf('destinations', ids.destination)).toMatchObject({ config: { host: 'moved' } });
  expect(await rowOf('schedules', ids.schedule)).toMatchObject({ cron: '0 3 * * *', enabled: false });
  const said = (await db().restores.get(job.id))?.recordNotices.join(' ');
  expect(said).toContain('1 differ from the backup and were left: destination one');
  expect(said).toContain('schedules that were set back are paused');
});

test('members, keys and audit rows come back to be read, and nothing lets anybody in again', async () => {
  const member = await db().users.create({ email: 'gone@example.com', role: 'operator', passwordHash: 'x' });
  await db().projectMembers.add({ projectId: f.t.project.id, userId: member.id, role: 'operator' });
  const tokenHash = createHash('sha256').update('token').digest();
  const token = await db().apiTokens.create({
    ...{ userId: member.id, name: 'robot', tokenHash, prefix: 'tf_', role: null, expiresAt: null },
  });
  ({ backup, records } = await f.wholeBackup());
  await db().apiTokens.revoke(member.id, token.id);
  await db().projectMembers.remove(f.t.project.id, member.id);
  await run(await start('all'));
  const list = (kind: 'members' | 'api_keys') =>
    db().restoredRecords.list({ projectId: f.t.project.id, kind, page: 1, perPage: 10 });
  expect((await list('members')).items.map(({ data }) => data.email)).toEqual(['gone@example.com']);
  expect((await list('api_keys')).items[0]?.data).toMatchObject({
    ...{ name: 'robot', revoked_at: null, token_hash: tokenHash.toString('hex') },
  });
  expect(await db().apiTokens.authenticate(tokenHash)).toBeNull();
  expect(await db().projectMembers.roleOf(f.t.project.id, member.id)).toBeNull();
  // Another restore's take their place.
  await run(await start());
  expect((await list('members')).items).toHaveLength(1);
});

test.each<[string, () => [HandedRecord[], number | undefined], RegExp]>([
  ['one is missing at the end', () => [records.slice(0, -1), records.length], /records arrived/],
  ['none came', () => [[], records.length], /0 of \d+ records arrived/],
  ['the worker told of none', () => [records, -1], /unknown/],
  [
    'one is not what was backed up',
    () => [
      records.map(([kind, line]) => [kind, line.replace('gone.example.com', 'evil.example.com')]),
      undefined,
    ],
    /not those that were backed up/,
  ],
  [
    'one is another kind',
    () => [records.map(([kind, line]) => [kind === 'destinations' ? 'members' : kind, line]), undefined],
    /destinations arrived/,
  ],
])('nothing is applied and the restore fails when %s', async (_what, spoil, message) => {
  await lose();
  const job = await start();
  const [given, count] = spoil();
  const told =
    count === -1
      ? { ...ended(), result: restoreResult({ rollbackPath: KEPT }) }
      : ended(count ?? given.length);
  await f.recorder.record(attemptOf(job)(1, STARTED, ...inEvents(given), told as JobEventBody));
  for (const [table, id] of [
    ['servers', ids.server],
    ['schedules', ids.schedule],
  ] as const) {
    expect(await rowOf(table, id)).toBeUndefined();
  }
  expect(await db().jobs.get(job.id)).toMatchObject({
    ...{ state: 'failed', failure: { code: 'RESTORE_FAILED', message: expect.stringMatching(message) } },
  });
  // The files are in place, and there is a way back.
  expect(await db().restores.get(job.id)).toMatchObject({ status: 'failed', rollbackPath: KEPT });
  expect(await staged()).toBe(0);
});

test('what the database refuses in the middle leaves nothing, and the restore says so', async () => {
  await lose();
  await sql.query("ALTER TABLE schedules ADD CONSTRAINT never CHECK (name NOT LIKE 'one %') NOT VALID");
  try {
    const job = await start();
    await run(job);
    expect(await db().jobs.get(job.id)).toMatchObject({ state: 'failed' });
    expect(await rowOf('servers', ids.server)).toBeUndefined();
    expect(await rowOf('destinations', ids.destination)).toBeUndefined();
  } finally {
    await sql.query('ALTER TABLE schedules DROP CONSTRAINT never');
  }
});

test('events that come twice, or of an attempt that was superseded, count once', async () => {
  await lose();
  const job = await start();
  const first = attemptOf(job);
  const half = inEvents(records).slice(0, 2);
  await f.recorder.record(first(1, STARTED, ...half));
  await f.recorder.record(first(1, STARTED, ...half));
  expect(await staged()).toBe(6);
  const second = attemptOf(job, 1002);
  const whole = second(1, STARTED, ...inEvents(records), ended());
  const [begin, end] = [
    { ...whole, events: whole.events.slice(0, 3) },
    { ...whole, events: whole.events.slice(3) },
  ];
  await f.recorder.record(begin);
  // Late, and of the dead attempt.
  await f.recorder.record(first(4, ...inEvents(records).slice(2), ended()));
  await f.recorder.record(end);
  await f.recorder.record(whole);
  expect(await db().jobs.get(job.id)).toMatchObject({ state: 'completed' });
  expect(await rowOf('servers', ids.server)).toMatchObject({ host: 'gone.example.com' });
  expect(await staged()).toBe(0);
});

test('what waits for its turn is not in the stream, and goes with the end of the job', async () => {
  const job = await start();
  // Its predecessor is on the way still, and never comes: the attempt is superseded.
  await f.recorder.record(attemptOf(job)(3, ...inEvents(records)));
  const second = attemptOf(job, 1002);
  await f.recorder.record(second(1, STARTED));
  expect(await db().jobEvents.ofTypes(job.id, ['records'], 10)).not.toEqual([]);
  expect((await db().jobEvents.after(job.id, 0n, 100)).map(({ event }) => event.type)).toEqual(['started']);
  const failure = { code: 'RESTORE_FAILED', message: 'No.', retryable: false } as const;
  await f.recorder.record(second(2, { type: 'ended', state: 'failed', failure }));
  expect(await db().jobEvents.ofTypes(job.id, ['records'], 10)).toEqual([]);
});

test('a restore that is to put none in place holds none', async () => {
  await lose();
  const job = await f.start(backup, { services: ['stays'] });
  const batch = attemptOf(job);
  const told = batch(1, STARTED, ...inEvents(records), ended());
  await f.recorder.record({ ...told, events: told.events.slice(0, -1) });
  expect(await staged()).toBe(0);
  await f.recorder.record(told);
  expect(await db().jobs.get(job.id)).toMatchObject({ state: 'completed' });
  expect(await rowOf('servers', ids.server)).toBeUndefined();
});

test('a restore that does not complete applies nothing', async () => {
  await lose();
  const job = await start();
  await f.recorder.record(
    attemptOf(job)(1, STARTED, ...inEvents(records), {
      ...{
        type: 'ended',
        state: 'failed',
        failure: { code: 'RESTORE_FAILED', message: 'No.', retryable: false },
      },
    }),
  );
  expect(await rowOf('servers', ids.server)).toBeUndefined();
  expect(await staged()).toBe(0);
});

test('in another project: under new ids, without the credentials that are bound to the first one', async () => {
  const { id: projectId } = await db().projects.create({ name: `other ${Math.random()}` });
  const job = await start('missing', projectId);
  await run(job);
  const servers = (await sql.query('SELECT * FROM servers WHERE project_id = $1', [projectId])).rows;
  const { name: wanted } = await rowOf('servers', ids.server);
  const copy = servers.find(({ name }) => name === wanted);
  expect(copy).toMatchObject({ sealed: null, environment: 'test' });
  expect(copy.id).not.toBe(ids.server);
  const services = await db().services.find({ serverId: copy.id });
  expect(services.map(({ name, id }) => [name, id === ids.service])).toEqual([['web', false]]);
  const [schedule] = (
    await sql.query('SELECT * FROM schedules WHERE project_id = $1 AND server_id = $2', [projectId, copy.id])
  ).rows;
  expect(schedule).toMatchObject({
    enabled: false,
    services: [services[0]?.id],
    destination_id: ids.destination,
  });
  expect((await db().restores.get(job.id))?.recordNotices.join(' ')).toContain(
    'Give their credentials again: ',
  );
  // The first project's are as they were.
  expect(await rowOf('servers', ids.server)).toMatchObject({ sealed: { ct: 'BBBB' } });
  // Once more: what has these names is there.
  const again = await start('all', projectId);
  await run(again);
  expect((await db().restores.get(again.id))?.recordNotices[0]).toMatch(/^None of/);
});
