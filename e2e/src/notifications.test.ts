// API processes die between an event and its delivery, and in the middle of one. Whoever is to be told is told.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type MailServer, type Receiver, startMailServer, startReceiver } from '@tarfleet/testbed';
import pg from 'pg';
import { Webhook } from 'standardwebhooks';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const SMTP_PASSWORD = 'canary-smtp-7f3a';

let world: World | undefined;
let receiver: Receiver | undefined;
let mails: MailServer | undefined;
afterEach(async () => {
  await world?.close();
  await receiver?.close();
  await mails?.close();
}, 120_000);

/** All that is stored, as text. */
async function dump(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'",
    );
    let text = '';
    for (const { name } of rows) {
      const all = await client.query<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM ${name} t`);
      text += all.rows.map(({ row }) => row).join('\n');
    }
    return text;
  } finally {
    await client.end();
  }
}

test('every delivery is made at least once, whatever API process dies when', async () => {
  receiver = await startReceiver();
  mails = await startMailServer({ user: 'u', password: SMTP_PASSWORD });
  const hook = receiver;
  const apiEnv = {
    WEBHOOK_ALLOWED: '127.0.0.0/8',
    SMTP_URL: mails.url.replace('//', `//u:${SMTP_PASSWORD}@`),
    SMTP_FROM: 'Tarfleet <backup@example.org>',
  };
  // The first process records what happens, and does not look for what is due until it is dead.
  world = await createWorld('redis', { apiEnv: { ...apiEnv, NOTIFY_EVERY_MS: '3600000' } });
  const { client, stack, dir } = world;
  const tree = join(dir, 'data/tree');
  await mkdir(tree);
  await writeFile(join(tree, 'file'), 'content');
  await world.addService(await world.addServer('source'), 'tree', [tree]);
  const events = ['backup.started', 'backup.completed', 'backup.verified'];
  const { data: webhook } = await client.must('POST', '/api/webhooks', { url: hook.url, events });
  const backupId = await world.startBackup({
    notification: { email: ['admin@example.com'], webhook: `${hook.url}/own?token=canary-token` },
  });
  expect((await client.ended(backupId)).state).toBe('completed');
  const stored = await client.must('GET', `/api/notifications?backup_id=${backupId}`);
  expect(stored.data).toHaveLength(5);
  expect(new Set(stored.data.map((one: { state: string }) => one.state))).toEqual(new Set(['pending']));
  expect([hook.requests.length, mails.mails.length]).toEqual([0, 0]);
  stack.api.child.kill('SIGKILL');

  // The second one dies with deliveries in its hands.
  const quick = { NOTIFY_EVERY_MS: '100', NOTIFY_CLAIM_MS: '3000', NOTIFY_RETRY_SECONDS: '1,1,1,1,1,1' };
  hook.behave('hang');
  const second = await stack.addApi(quick);
  await hook.got(1);
  second.process.child.kill('SIGKILL');
  const lost = hook.requests.map(({ headers }) => headers['webhook-id']);
  expect(lost.length).toBeGreaterThan(0);

  hook.behave(500, 'cut', 200);
  const third = await stack.addApi(quick);
  const at = client.at(third.url);
  const told = await until('all deliveries', async () => {
    const { data } = await at.must('GET', `/api/notifications?backup_id=${backupId}`);
    return data.every((one: { state: string }) => one.state === 'delivered') ? data : undefined;
  });
  expect(told).toHaveLength(5);

  const webhooks = told.filter((one: { channel: string }) => one.channel === 'webhook');
  const arrived = hook.requests.slice(lost.length);
  for (const { id, webhook_id, event } of webhooks) {
    const tries = arrived.filter(({ headers }) => headers['webhook-id'] === id);
    expect([event, tries.length > 0]).toEqual([event, true]);
    const { secret } = webhook_id ? webhook : await ownSecret();
    for (const { headers, body } of tries) {
      const verified = new Webhook(secret).verify(body, headers as Record<string, string>);
      expect(verified).toMatchObject({ event, timestamp: expect.any(String), data: { backup_id: backupId } });
    }
  }
  for (const id of lost) expect(arrived.map(({ headers }) => headers['webhook-id'])).toContain(id);
  expect(mails.mails.map(({ to }) => to)).toContainEqual(['admin@example.com']);
  expect(mails.mails[0]?.text).toContain('Subject: [Tarfleet] Backup completed');

  const seen = JSON.stringify([
    await at.must('GET', '/api/webhooks'),
    await at.must('GET', `/api/webhooks/${webhook.id}/deliveries`),
    await at.must('GET', '/api/audit'),
  ]);
  const rows = await dump(stack.databaseUrl);
  for (const canary of [webhook.secret.slice(6), SMTP_PASSWORD]) {
    expect(seen).not.toContain(canary);
    expect(rows).not.toContain(canary);
    expect(world.logs()).not.toContain(canary);
  }
  expect(world.logs()).not.toContain('canary-token');

  async function ownSecret() {
    const body = { url: `${hook.url}/own?token=canary-token` };
    return (await at.must('POST', '/api/webhooks/signing-secret', body)).data;
  }
}, 300_000);
