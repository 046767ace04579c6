import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { ACTIVE_RECORD_KINDS, type RecordsMode } from '@tarfleet/contracts';
import type { RecordRow, ScheduleRecord, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { openRunFixture, type RunFixture } from '../../testing/run-fixture.ts';
import { applyRecords } from './apply-records.ts';
import type { StagedRows } from './read-staged.ts';

let t: RunFixture;
let server: ServerRecord;
let service: ServiceRecord;
let schedule: ScheduleRecord;
const AT = new Date('2026-01-02T03:04:05.000Z');
const SEALED = { v: 1, keyId: 'k2', enc: 'CCCC', ct: 'DDDD' };
const notification = { email: ['a@example.com'], on_success: true, on_failure: true };

beforeAll(async () => {
  t = await openRunFixture();
});
afterAll(() => t.close());
beforeEach(async () => {
  for (const { id } of (await read()).schedules) await t.db.schedules.delete(id);
  for (const { id } of (await read()).servers) await t.db.servers.delete(id);
  server = await t.addServer({ name: 'one' });
  service = await t.addService(server.id, { name: 'web' });
  schedule = await t.db.schedules.create({
    ...{ projectId: t.project.id, name: 'nightly', type: 'full', enabled: true, cron: '0 3 * * *' },
    ...{ timeZone: 'UTC', catchUp: true, maxLatenessSeconds: 60, components: [], services: [service.id] },
    ...{ serverId: server.id, destinationId: t.destination.id, retentionDays: null, retention: null },
    ...{ encrypt: true, verify: true, compress: true, compressionLevel: 6, deduplicate: false },
    notification: { ...notification, webhook: 'https://example.com/secret' },
    ...{ nextAt: AT, activeSince: AT },
  });
});

/** What a backup would hold now. */
async function read(projectId = t.project.id): Promise<StagedRows> {
  const rows: StagedRows = { destinations: [], servers: [], services: [], schedules: [] };
  const of = { projectId, destinationId: t.destination.id, auditSince: AT };
  for (const kind of ACTIVE_RECORD_KINDS) {
    const lines = await t.db.projectRecords.page(kind, of, null, 100);
    rows[kind] = lines.map(({ line }) => JSON.parse(line) as RecordRow);
  }
  return rows;
}
const apply = (rows: StagedRows, mode: RecordsMode = 'all', projectId = t.project.id) =>
  t.db.transaction((tx) =>
    applyRecords(tx, rows, { mode, projectId, elsewhere: projectId !== t.project.id, at: AT }),
  );
/** What somebody changes after the backup. */
const change = async (kind: keyof StagedRows, id: string, fields: object) => {
  const row = (await read())[kind].find((one) => one.id === id);
  if (!row) throw new Error(`no ${kind} ${id}`);
  await t.db.projectRecords.update(kind, { ...row, ...fields });
};

test('a local server is not made in another project, nor what belongs to it', async () => {
  const { id: projectId } = await t.db.projects.create({ name: 'beta' });
  const local = await t.addServer({ name: 'here', kind: 'local', host: null, port: null, username: null });
  await t.addService(local.id, { name: 'disk' });
  await change('schedules', schedule.id, { server_id: local.id, services: [], enabled: false });
  const applied = await apply(await read(), 'missing', projectId);
  expect(applied.skipped).toEqual([
    'server here (a server of kind local is not copied)',
    'service disk (what it belongs to is not there)',
    'schedule nightly (what it belongs to is not there)',
  ]);
  const made = await read(projectId);
  expect([made.servers, made.services].map((rows) => rows.map(({ name }) => name))).toEqual([
    ['one'],
    ['web'],
  ]);
  expect(made.schedules).toEqual([]);
});

test('a password that is there stays while its connection does, and else is the backup’s', async () => {
  const settings = (password: string, username: string, databases: string[]) => ({
    database: { host: 'db', port: 5432, username, databases },
    databasePassword: { box: password },
  });
  const settingsNow = async () => (await read()).services[0]?.settings;
  await change('services', service.id, { settings: settings('old', 'app', ['a']) });
  const backup = await read();
  await change('services', service.id, { settings: settings('rotated', 'app', ['b']) });
  expect((await apply(backup)).changed).toEqual(['service web']);
  expect(await settingsNow()).toEqual(settings('rotated', 'app', ['a']));
  expect((await apply(backup)).changed).toEqual([]);
  await change('services', service.id, { settings: settings('another', 'other', ['a']) });
  await apply(backup);
  expect(await settingsNow()).toEqual(settings('old', 'app', ['a']));
});

test.each([
  ['username', 'deploy'],
  ['become_method', 'sudo'],
  ['auth_type', 'password'],
])(
  'credentials are set back with the %s that they are for; a host key stays with its address',
  async (name, now) => {
    const [before] = (await read()).servers;
    const backup = await read();
    await change('servers', server.id, { [name]: now, sealed: SEALED, host_key_fingerprint: 'SHA256:new' });
    expect((await apply(backup)).changed).toEqual(['server one']);
    expect((await read()).servers).toEqual([{ ...before, host_key_fingerprint: 'SHA256:new' }]);
  },
);

test('credentials that are newer than the backup stay with their account', async () => {
  const backup = await read();
  await change('servers', server.id, { environment: 'other', sealed: SEALED });
  await apply(backup);
  expect((await read()).servers).toMatchObject([{ environment: null, sealed: SEALED }]);
});

test('what would get a name that another one has now is left, and the rest is set back', async () => {
  const backup = await read();
  await change('servers', server.id, { name: 'renamed' });
  await change('services', service.id, { name: 'renamed' });
  await t.addServer({ name: 'one' });
  await t.addService(server.id, { name: 'web' });
  await change('schedules', schedule.id, { cron: '0 4 * * *', enabled: false });
  const applied = await apply(backup);
  expect(applied).toMatchObject({
    left: ["server one (the name is another one's now)", "service web (the name is another one's now)"],
    ...{ changed: ['schedule nightly'], skipped: [] },
  });
  const now = await read();
  expect(now.servers.find(({ id }) => id === server.id)?.name).toBe('renamed');
  expect(now.services.find(({ id }) => id === service.id)?.name).toBe('renamed');
  expect(now.schedules).toMatchObject([{ cron: '0 3 * * *' }]);
});

test('what another one of the backup has the name of is left out, and nothing is made on that', async () => {
  const other = await t.addServer({ name: 'two' });
  const backup = await read();
  expect(await t.db.servers.delete(server.id)).toBe(true);
  await change('servers', other.id, { name: 'one' });
  const applied = await apply(backup, 'missing');
  expect(applied).toMatchObject({
    skipped: [
      "server one (its name is another one's now)",
      'service web (what it belongs to is not there)',
      'schedule nightly (what it belongs to is not there)',
    ],
    left: ['server two'],
  });
  expect((await read()).services).toEqual([]);
});

test('what was made anew under the name stands for it', async () => {
  const backup = await read();
  expect(await t.db.servers.delete(server.id)).toBe(true);
  const { id: server_id } = await t.addServer({ name: 'one' });
  expect(await apply(backup, 'missing')).toMatchObject({ created: { services: ['web'] }, skipped: [] });
  expect((await read()).services).toMatchObject([{ id: service.id, server_id }]);
});

test('a schedule’s webhook is in no backup; one that is set back keeps its own', async () => {
  const backup = await read();
  const without = { ...notification, webhook: null };
  expect(backup.schedules).toMatchObject([{ notification: without }]);
  expect((await apply(backup)).changed).toEqual([]);
  const kept = { ...notification, webhook: 'https://example.com/newer' };
  await change('schedules', schedule.id, {
    notification: { ...kept, email: ['b@example.com'] },
    enabled: false,
  });
  expect((await apply(backup)).changed).toEqual(['schedule nightly']);
  expect((await t.db.schedules.get(schedule.id))?.notification).toEqual(kept);
  await t.db.schedules.delete(schedule.id);
  await apply(backup);
  expect((await t.db.schedules.get(schedule.id))?.notification).toEqual(without);
  await change('schedules', schedule.id, { notification: { ...kept, email: [] }, enabled: false });
  const webhookAlone = await read();
  expect((await apply(webhookAlone)).changed).toEqual([]);
  await t.db.schedules.delete(schedule.id);
  await apply(webhookAlone);
  expect((await t.db.schedules.get(schedule.id))?.notification).toBeNull();
});

test('a destination whose folder is another one’s now is left out, with what goes there', async () => {
  const place = { type: 'local', config: { path: '/srv/elsewhere' }, secretCiphertext: null } as const;
  const add = (name: string) =>
    t.db.destinations.create({ ...place, name, retentionDays: null, isDefault: false });
  const { id: destination_id } = await add('second');
  await change('schedules', schedule.id, { destination_id, enabled: false });
  const backup = await read();
  await t.db.schedules.delete(schedule.id);
  expect(await t.db.destinations.delete(destination_id)).toBe(true);
  const third = await add('third');
  const applied = await apply(backup, 'missing');
  expect(applied.skipped).toEqual([
    expect.stringMatching(/^destination second \(its place is/),
    'schedule nightly (what it belongs to is not there)',
  ]);
  expect(await t.db.destinations.get(destination_id)).toBeNull();
  expect(await t.db.destinations.delete(third.id)).toBe(true);
  expect((await apply(backup, 'missing')).created).toMatchObject({
    ...{ destinations: ['second'], schedules: ['nightly'] },
  });
});
