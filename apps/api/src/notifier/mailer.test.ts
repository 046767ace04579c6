import { afterEach, expect, test } from '@jest/globals';
import { type MailServer, startMailServer } from '@tarfleet/testbed';
import { createMailer } from './mailer.ts';

let server: MailServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const payload = JSON.stringify({
  event: 'backup.failed',
  timestamp: '2026-01-02T03:04:05.000Z',
  data: {
    ...{ backup_id: 'b-1', type: 'full', size_bytes: null, status: 'failed', name: 'nächtlich' },
    error: { code: 'STORAGE_FULL', message: 'The destination is full.' },
  },
});
const signal = new AbortController().signal;
const letter = { id: 'd-1', to: 'admin@example.com', payload };
const mailerOf = (url: string) => createMailer({ url, from: 'Tarfleet <backup@example.org>' });

test('a letter says what happened, to one address', async () => {
  server = await startMailServer();
  expect(await mailerOf(server.url).send(letter, signal)).toEqual({ kind: 'delivered', status: null });
  const [mail] = server.mails;
  expect(mail).toMatchObject({ from: 'backup@example.org', to: ['admin@example.com'] });
  expect(mail?.text).toMatch(/^Message-ID: <d-1@example\.org>\r$/m);
  expect(mail?.text).toMatch(/^Auto-Submitted: auto-generated\r$/m);
  expect(mail?.text).toMatch(/^Subject: =\?UTF-8\?Q\?.*Backup_failed/m);
  expect(mail?.text).toContain('The destination is full.');
  expect(mail?.text).toContain('backup id: b-1');
});

test('an address is one address, whatever stands in it', async () => {
  server = await startMailServer();
  await mailerOf(server.url).send({ ...letter, to: 'a,b@example.com' }, signal);
  expect(server.mails.flatMap(({ to }) => to)).not.toContain('b@example.com');
});

test('what the server refuses for good is not tried again, anything else is', async () => {
  server = await startMailServer();
  const mailer = mailerOf(server.url);
  server.refuse = { code: 550, message: 'No such user' };
  expect(await mailer.send(letter, signal)).toMatchObject({ kind: 'refused', status: 550 });
  server.refuse = { code: 451, message: 'Come back later' };
  expect(await mailer.send(letter, signal)).toMatchObject({ kind: 'retry', status: 451 });
  server.refuse = null;
  expect(await mailer.send(letter, signal)).toMatchObject({ kind: 'delivered' });
  const { url } = server;
  await server.close();
  server = undefined;
  expect(await mailerOf(url).send(letter, signal)).toMatchObject({ kind: 'retry', status: null });
});

test('a login is made with the URL’s password, which no fault repeats', async () => {
  server = await startMailServer({ user: 'u', password: 'canary-pw' });
  const { host } = new URL(server.url);
  expect(await mailerOf(`smtp://u:canary-pw@${host}`).send(letter, signal)).toMatchObject({
    kind: 'delivered',
  });
  const outcome = await mailerOf(`smtp://u:wrong-canary@${host}`).send(letter, signal);
  expect(outcome).toMatchObject({ kind: 'retry', error: expect.stringContaining('SMTP_URL') });
  expect(JSON.stringify(outcome)).not.toContain('canary');
});

test('a process that ends waits for no mail server', async () => {
  server = await startMailServer();
  const stop = new AbortController();
  server.hang = () => stop.abort();
  expect(await mailerOf(server.url).send(letter, stop.signal)).toEqual({ kind: 'stopped' });
});
