import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { DeliveryDraft, WebhookRecord } from '@tarfleet/db';
import { type MailServer, type Receiver, startMailServer, startReceiver } from '@tarfleet/testbed';
import { createSecretBox, generateApiKeys, webhookAad } from '@tarfleet/vault';
import { Webhook } from 'standardwebhooks';
import { v7 as uuidv7 } from 'uuid';
import { openRunFixture, type RunFixture, silent } from '../testing/run-fixture.ts';
import { createAddressGuard, parseAllowed } from './address-guard.ts';
import { type Deliverer, type DelivererOptions, startDeliverer } from './deliverer.ts';
import { createMailer } from './mailer.ts';
import { createSend } from './send.ts';
import { createRequestSecrets, newSecret } from './signature.ts';

let t: RunFixture;
let receiver: Receiver;
let mails: MailServer;
const running: Deliverer[] = [];
const box = createSecretBox(generateApiKeys().box);
const requestSecrets = createRequestSecrets(Buffer.alloc(32, 7));
beforeAll(async () => {
  t = await openRunFixture();
  mails = await startMailServer();
});
afterAll(async () => {
  await mails.close();
  await t.close();
});
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  await receiver.close();
});

/** As one process runs it; `tried` resolves when a delivery has been tried so many times there. */
function deliver(change: Partial<DelivererOptions> & { timeoutMs?: number } = {}) {
  const { timeoutMs = 60_000, ...rest } = change;
  const mailer = createMailer({ url: mails.url, from: 'Tarfleet <backup@example.org>' });
  const guard = createAddressGuard(parseAllowed('127.0.0.0/8'));
  const deliverer = startDeliverer({
    ...{ db: t.db, logger: silent, everyMs: 20, claimMs: 60_000, pauses: [0, 0, 0] },
    send: createSend({ db: t.db, box, requestSecrets, guard, mailer, timeoutMs }),
    ...rest,
  });
  running.push(deliverer);
  return deliverer;
}
async function addWebhook(url = receiver.url): Promise<WebhookRecord & { secret: string }> {
  const [id, secret] = [uuidv7(), newSecret()];
  const secretCiphertext = box.seal(webhookAad({ id, url }), { secret });
  const projectId = t.project.id;
  const made = await t.db.webhooks.create({
    id,
    projectId,
    url,
    events: ['backup.failed'],
    secretCiphertext,
  });
  return { ...made, secret };
}
const content = { event: 'backup.failed', timestamp: '2026-01-02T03:04:05.000Z', data: { status: 'failed' } };
async function add(more: { webhookId: string } | { target: string; channel?: 'email' }): Promise<string> {
  const id = uuidv7();
  const where = 'target' in more ? { lane: more.target, channel: 'webhook' as const, ...more } : more;
  const draft = { id, projectId: t.project.id, event: 'backup.failed', payload: JSON.stringify(content) };
  await t.db.deliveries.add([{ channel: 'webhook', ...draft, ...where } as DeliveryDraft]);
  return id;
}
async function ended(id: string) {
  for (;;) {
    const found = await t.db.deliveries.get(id);
    if (found?.state !== 'pending') return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a receiver that fails and recovers gets the same message, signed anew each time', async () => {
  const webhook = await addWebhook();
  receiver.behave(500, 'cut', 307, 200);
  const id = await add({ webhookId: webhook.id });
  deliver();
  expect(await ended(id)).toMatchObject({
    state: 'delivered',
    attempts: 4,
    lastStatus: 200,
    lastError: null,
  });
  expect(receiver.requests).toHaveLength(4);
  for (const { headers, body } of receiver.requests) {
    expect(headers).toMatchObject({ 'webhook-id': id, 'content-type': 'application/json' });
    expect(new Webhook(webhook.secret).verify(body, headers as Record<string, string>)).toEqual(content);
  }
});

test('one whose tries are used up has failed, and is sent again when somebody asks', async () => {
  const webhook = await addWebhook();
  receiver.behave(503);
  const id = await add({ webhookId: webhook.id });
  deliver();
  expect(await ended(id)).toMatchObject({ state: 'failed', attempts: 4, lastStatus: 503, nextAt: null });
  receiver.behave(503, 204);
  expect(await t.db.deliveries.resend(id)).toBe(true);
  expect(await ended(id)).toMatchObject({ state: 'delivered', attempts: 6, lastStatus: 204 });
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
});

test('between two tries there is the pause that belongs there', async () => {
  receiver.behave(500);
  const id = await add({ target: receiver.url });
  const before = Date.now();
  deliver({ pauses: [3600] });
  await receiver.got(1);
  for (let found = await t.db.deliveries.get(id); ; found = await t.db.deliveries.get(id)) {
    if (found?.lastStatus !== 500) continue;
    const pause = (found.nextAt?.getTime() ?? 0) - before;
    expect([found.state, pause >= 3600_000, pause < 2 * 3600_000]).toEqual(['pending', true, true]);
    break;
  }
});

test('410 switches the webhook off, and what waits for it is given up', async () => {
  const webhook = await addWebhook();
  receiver.behave(410);
  const first = await add({ webhookId: webhook.id });
  deliver();
  expect(await ended(first)).toMatchObject({ state: 'failed', attempts: 1, lastStatus: 410 });
  expect(await t.db.webhooks.get(webhook.id)).toMatchObject({
    ...{ enabled: false, disabledReason: expect.stringContaining('410') },
  });
  const second = await add({ webhookId: webhook.id });
  expect(await ended(second)).toMatchObject({ state: 'failed', lastError: 'The webhook is switched off.' });
  expect(receiver.requests).toHaveLength(1);
});

test('what a process had in hand when it died is sent by another, under the same id', async () => {
  const id = await add({ target: receiver.url });
  const dead = await t.db.deliveries.claim({ busy: [], claimMs: 300 });
  expect(dead?.id).toBe(id);
  deliver();
  expect(await ended(id)).toMatchObject({ state: 'delivered', attempts: 2 });
  const [{ headers, body }] = (await receiver.got(1)) as [(typeof receiver.requests)[0]];
  expect(headers['webhook-id']).toBe(id);
  const secret = requestSecrets(t.project.id, receiver.url);
  expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual(content);
});

test('several processes send each delivery once', async () => {
  const webhook = await addWebhook();
  const ids = await Promise.all(Array.from({ length: 30 }, () => add({ webhookId: webhook.id })));
  deliver();
  deliver();
  deliver();
  for (const id of ids) expect(await ended(id)).toMatchObject({ state: 'delivered', attempts: 1 });
  const told = receiver.requests.map(({ headers }) => headers['webhook-id']);
  expect(told.sort()).toEqual(ids.sort());
});

test('a receiver that hangs does not keep others waiting', async () => {
  const slow = await startReceiver();
  try {
    slow.behave('hang');
    const [stuck, webhook] = [await addWebhook(slow.url), await addWebhook()];
    for (let count = 0; count < 20; count += 1) await add({ webhookId: stuck.id });
    const id = await add({ webhookId: webhook.id });
    deliver();
    expect(await ended(id)).toMatchObject({ state: 'delivered' });
    expect(slow.requests.length).toBeLessThanOrEqual(2);
    await t.db.webhooks.delete(stuck.id);
  } finally {
    await slow.close();
  }
});

test('a letter that the mail server cannot take now goes out later, one that it refuses does not', async () => {
  mails.refuse = { code: 451, message: 'Come back later' };
  const id = await add({ target: 'ops@example.com', channel: 'email' });
  deliver({
    pauses: [0, 0],
    onTried: (_delivery, { kind }) => {
      if (kind === 'retry') mails.refuse = null;
    },
  });
  expect(await ended(id)).toMatchObject({ state: 'delivered', attempts: 2 });
  expect(mails.mails.at(-1)).toMatchObject({ to: ['ops@example.com'] });
  mails.refuse = { code: 550, message: 'No such user' };
  const refused = await add({ target: 'nobody@example.com', channel: 'email' });
  expect(await ended(refused)).toMatchObject({ state: 'failed', attempts: 1, lastStatus: 550 });
  mails.refuse = null;
});

test('a secret that does not open is told to nobody, and is no reason to give up', async () => {
  const webhook = await addWebhook();
  // Moved behind the API's back: the secret belongs to the other address.
  await t.db.webhooks.update(webhook.id, { url: `${receiver.url}/elsewhere` });
  const id = await add({ webhookId: webhook.id });
  deliver();
  expect(await ended(id)).toMatchObject({ state: 'failed', lastError: expect.stringContaining('secret') });
  expect(receiver.requests).toEqual([]);
});

test('stopping waits for what is in hand', async () => {
  let answer: () => void = () => undefined;
  receiver.behave((response) => {
    answer = () => response.writeHead(200).end();
  });
  const id = await add({ target: receiver.url });
  const deliverer = deliver();
  await receiver.got(1);
  const stopped = deliverer.stop();
  answer();
  await stopped;
  expect(await t.db.deliveries.get(id)).toMatchObject({ state: 'delivered' });
});
