// Document 2's examples, sent as they stand (ids aside) to the whole system: each gets the documented shape.
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type MailServer,
  type Receiver,
  type RunningPostgres,
  type RunningS3,
  startMailServer,
  startPostgresServer,
  startReceiver,
  startS3,
} from '@tarfleet/testbed';
import pg from 'pg';
import type { Answer } from './client.ts';
import { type Document, type Example, readExamples, withIds } from './documented/examples.ts';
import { differences } from './documented/shape.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
/** Where the document's restore puts files: as it stands, on the server itself. */
const RESTORE_PATH = '/restore/files';
/** Tarfleet knows no bots and no users. */
const NOT_OURS = {
  list: ['metadata.bot_count', 'metadata.user_count'],
  users: 'components.user_data.users_count',
};

let document: Document;
let here: World;
let mails: MailServer;
let hook: Receiver;
let s3: RunningS3;
let postgres: RunningPostgres;
let database: pg.Client;
/** The two backups that the document's requests made: by its body, and by its command. */
const made = { byBody: '', byCommand: '' };
const sent = new Set<string>();
beforeAll(async () => {
  document = await readExamples('botserver');
  [mails, hook, s3, postgres] = await Promise.all([
    startMailServer(),
    startReceiver(),
    startS3(),
    startPostgresServer({ password: 'documented-1' }),
  ]);
  here = await createWorld('postgres', {
    apiEnv: {
      ...{ SMTP_URL: mails.url, SMTP_FROM: 'tarfleet@example.com', WEBHOOK_ALLOWED: '127.0.0.0/8' },
      NOTIFY_EVERY_MS: '100',
    },
  });
  database = new pg.Client({ connectionString: here.stack.databaseUrl });
  await database.connect();
  const { client, dir } = here;
  const { region, accessKeyId: access_key_id, secretAccessKey: secret_access_key, endpoint } = s3;
  const destinations = {
    s3_primary: { bucket: 'backups', prefix: 'manual' },
    s3_archive: { bucket: 'archive' },
  };
  for (const [name, place] of Object.entries(destinations)) {
    await s3.createBucket(place.bucket);
    await client.must('POST', '/api/destinations', {
      ...{ name, type: 's3', capacity_bytes: 500_000_000, is_default: name === 's3_archive' },
      config: { ...place, region, endpoint, force_path_style: true, access_key_id, secret_access_key },
    });
  }
  await postgres.sql('postgres', 'CREATE DATABASE app');
  await postgres.sql(
    'app',
    'CREATE TABLE messages AS SELECT n, repeat(md5(n::text), 9) FROM generate_series(1, 999) n',
  );
  const production = await here.addServer('botserver-prod-01');
  await addDatabase(production);
  for (const component of ['files', 'configurations', 'user_data']) {
    const tree = join(dir, 'data', component);
    await mkdir(join(tree, 'inner'), { recursive: true });
    await writeFile(join(tree, 'inner/text'), component.repeat(5_000));
    await here.addService(production, component, [tree], { component });
  }
  await client.must('POST', '/api/webhooks', { url: hook.url, events: document.webhook.events });
}, 180_000);
afterAll(async () => {
  await database?.end();
  await here?.close();
  await Promise.all([mails?.close(), hook?.close(), s3?.stop(), postgres?.stop()]);
}, 60_000);

async function addDatabase(serverId: string): Promise<void> {
  const { port, password } = postgres;
  await here.client.must('POST', `/api/servers/${serverId}/services`, {
    ...{ name: 'app', type: 'postgres', component: 'database' },
    database: { host: '127.0.0.1', port, username: 'postgres', password, databases: ['app'] },
  });
}

function named(name: string): Example {
  const found = document.routes.find((one) => one.name === name);
  if (!found) throw new Error(`The document has no ${name}.`);
  sent.add(name);
  return found;
}

const idsOf = (backup: string, restore = '') => ({ backup, ...(restore === '' ? {} : { restore }) });

/** The command of the document. */
function send(
  example: Example,
  ids: { backup?: string; restore?: string } = {},
  headers = {},
): Promise<Answer> {
  const { path, body } = withIds(example.curl, ids);
  return here.client.request(example.method, path, body, headers);
}

function expectShape(example: Example, answer: Answer, status: number, unknown: string[] = []): void {
  expect([answer.status, answer.body.code, answer.body.message]).toEqual([
    status,
    undefined,
    example.answer.message,
  ]);
  expect(
    differences(example.answer, answer.body, { unknown: unknown.map((path) => `data.${path}`) }),
  ).toEqual([]);
}

test('create a backup, and how far it is', async () => {
  const create = named('Create Backup');
  const first = await here.client.request(create.method, create.path, create.body);
  // Nothing is known of the first one's time and size.
  expectShape(create, first, 202, ['estimated_duration_seconds', 'estimated_size_bytes']);
  made.byBody = first.body.data.backup_id;
  expect(await here.client.ended(made.byBody)).toMatchObject({ state: 'completed' });

  const status = named('Get Backup Status');
  const lock = new pg.Client({ ...connection(), database: 'app' });
  await lock.connect();
  try {
    // pg_dump waits for it, while the files are backed up.
    await lock.query('BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
    const second = await send(create);
    expectShape(create, second, 202);
    made.byCommand = second.body.data.backup_id;
    const running = await until('all but the database is backed up', async () => {
      const answer = await send(status, idsOf(made.byCommand));
      return answer.body.data.phases_completed.length === 3 && answer;
    });
    // A dump's size is known once it is there; the past tells nothing when this one takes longer.
    expectShape(status, running, 200, ['total_bytes', 'total_files', 'estimated_remaining_seconds']);
    expect(running.body.data).toMatchObject({
      ...{ status: 'in_progress', current_phase: 'backing_up_database' },
      phases_completed: ['configuration_backup', 'file_backup', 'user_data_backup'],
      phases_remaining: ['database_backup', 'verification', 'commit'],
    });
    await lock.query('COMMIT');
  } finally {
    await lock.end();
  }
  expect(await here.client.ended(made.byCommand)).toMatchObject({ state: 'completed' });
  expectShape(status, await send(status, idsOf(made.byCommand)), 200);
}, 120_000);

test('configure schedules, and show them once one has run', async () => {
  const configure = named('Configure Backup Schedule');
  const answer = await here.client.request(configure.method, configure.path, configure.body);
  expectShape(configure, answer, 200);
  const show = named('Get Backup Schedule');
  expectShape(show, await send(show), 200, ['schedules.last_run', 'schedules.last_status']);
  await database.query(
    "UPDATE schedules SET next_at = now() - interval '1 minute' WHERE name = 'daily_incremental'",
  );
  const ran = await until('a run has ended', async () => {
    const shown = await send(show);
    return shown.body.data.schedules[0].successful_runs === 1 && shown;
  });
  expectShape(
    show,
    { ...ran, body: { ...ran.body, data: { schedules: ran.body.data.schedules.slice(0, 1) } } },
    200,
  );
}, 120_000);

test('list backups, and show one', async () => {
  const list = named('List Backups');
  const listed = await send(list);
  expectShape(
    list,
    listed,
    200,
    NOT_OURS.list.map((path) => `backups.${path}`),
  );
  expect(listed.body.data.backups.map(({ id }: { id: string }) => id)).toEqual([made.byCommand, made.byBody]);
  expect(listed.body.data.backups[0].metadata.database_size).toBeGreaterThan(9 * 32 * 999);
  const details = named('Get Backup Details');
  const scheduled = (await here.client.must('GET', '/api/backups/list?type=incremental')).data.backups[0].id;
  for (const id of [made.byBody, made.byCommand]) {
    const answer = await send(details, idsOf(id));
    answer.body.data.metadata.created_by = 'system_scheduler';
    // Only its request said what it is for.
    expectShape(details, answer, 200, [NOT_OURS.users]);
  }
  const { data } = (await send(details, idsOf(scheduled))).body;
  expect(data.metadata.created_by).toBe('system_scheduler');
}, 60_000);

test('verify a backup', async () => {
  const verify = named('Verify Backup');
  const { path, body } = withIds({ path: verify.path, body: verify.body }, idsOf(made.byBody));
  expectShape(verify, await here.client.request(verify.method, path, body, WAIT), 200);
  const whole = await send(verify, idsOf(made.byBody), WAIT);
  expectShape(verify, whole, 200);
  // Without a wish to wait, all that is not known yet is there and empty.
  const { message, ...answer } = verify.answer;
  const started = await send(verify, idsOf(made.byBody));
  expect([started.status, typeof message, started.body.message]).toEqual([
    202,
    'string',
    'Backup verification started',
  ]);
  expect(Object.keys(started.body.data)).toEqual(expect.arrayContaining(Object.keys(answer.data as object)));
  await here.client.ended(started.body.data.job_id);
}, 120_000);

test('restore a backup, and how far it is', async () => {
  const restore = named('Restore from Backup');
  const status = named('Get Restore Status');
  const staging = await here.addServer('staging');
  await here.client.must('PATCH', `/api/servers/${staging}`, { environment: 'staging' });
  await addDatabase(staging);
  const body = withIds(restore.body ?? {}, idsOf(made.byBody)) as {
    restore_options: { database: { point_in_time?: string } };
  };
  // The one field of all examples that this version cannot do, and says so.
  const refused = await here.client.request(restore.method, restore.path, body);
  expect(refused).toMatchObject({ status: 400, body: { code: 'NOT_SUPPORTED' } });
  expect(refused.body.message).toContain('point_in_time');
  delete body.restore_options.database.point_in_time;
  await postgres.sql('postgres', 'DROP DATABASE app');
  const existed = await stat('/restore').catch(() => null);
  try {
    const answer = await here.client.request(restore.method, restore.path, body);
    expectShape(restore, answer, 202);
    const ids = idsOf(made.byBody, answer.body.data.restore_id);
    expectShape(status, await send(status, ids), 200, ['total_bytes', 'estimated_remaining_seconds']);
    expect(await here.client.ended(answer.body.data.restore_id)).toMatchObject({
      failure: null,
      state: 'completed',
    });
    expectShape(status, await send(status, ids), 200);
    expect(await postgres.sql('app', 'SELECT count(*) FROM messages')).toBe('999\n');
    expect(await readFile(join(RESTORE_PATH, here.dir, 'data/files/inner/text'), 'utf8')).toMatch(/^files/);
  } finally {
    await rm(existed ? RESTORE_PATH : '/restore', { recursive: true, force: true });
  }
  const byCommand = await send(restore, idsOf(made.byCommand));
  expectShape(restore, byCommand, 202);
  await here.client.ended(byCommand.body.data.restore_id);
  const ended = await send(status, idsOf(made.byCommand, byCommand.body.data.restore_id));
  expectShape(status, ended, 200);
  expect(ended.body.data).toMatchObject({
    status: 'failed',
    errors: [expect.stringContaining('drop_existing')],
  });
}, 120_000);

test('delete a backup', async () => {
  const remove = named('Delete Backup');
  const early = await send(remove, idsOf(made.byBody));
  expect(early).toMatchObject({ status: 409, body: { code: 'RETENTION_POLICY_VIOLATION' } });
  await database.query("UPDATE backups SET retention_until = now() - interval '1 hour' WHERE type = 'full'");
  expectShape(remove, await send(remove, idsOf(made.byBody), WAIT), 200);
  expect((await s3.everything('backups')).filter((key) => key.includes(made.byBody))).toEqual([]);
}, 60_000);

test('statistics', async () => {
  const statistics = named('Get Backup Statistics');
  expectShape(statistics, await send(statistics), 200);
}, 60_000);

test('webhooks', async () => {
  const { events, payload } = document.webhook;
  const came = () => hook.requests.map(({ body }) => JSON.parse(body));
  const told = await until('the restore that failed is told', async () =>
    came().some(({ event }) => event === 'restore.failed') ? came() : null,
  );
  const seen = new Set(told.map(({ event }) => event));
  expect(events.filter((event) => !seen.has(event))).toEqual(['backup.failed']);
  const completed = told.filter(({ event }) => event === 'backup.completed');
  expect(completed).toHaveLength(3);
  for (const one of completed) expect(differences(payload, one)).toEqual([]);
}, 60_000);

test('every route of the document was asked', () => {
  expect(document.routes.map(({ name }) => name).filter((name) => !sent.has(name))).toEqual([]);
});

function connection() {
  return { host: '127.0.0.1', port: postgres.port, user: 'postgres', password: postgres.password };
}
