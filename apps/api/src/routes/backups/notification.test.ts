import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';

let w: BackupWorld;
let mailing: BackupWorld;
beforeAll(async () => {
  w = await openBackupWorld();
  mailing = await openBackupWorld({
    env: { SMTP_URL: 'smtp://u:canary-pw@mail.example.com', SMTP_FROM: 'Tarfleet <b@example.com>' },
  });
});
afterAll(async () => {
  await w.close();
  await mailing.close();
});

const create = (world: BackupWorld, notification: unknown) =>
  world.t.ask('POST', '/api/backups/create', {
    token: world.token,
    body: { type: 'full', encrypt: false, notification },
  });
const wish = { email: ['admin@example.com'], webhook: 'https://monitoring.example.com/webhook' };

test('what a backup’s request says of its end is kept with it, and whoever it names is told', async () => {
  const answer = await create(mailing, wish);
  expect([answer.statusCode, answer.body]).toEqual([202, expect.any(String)]);
  const id: string = answer.json().data.backup_id;
  expect((await mailing.t.db.backups.find(id))?.notification).toEqual({
    ...wish,
    ...{ on_success: true, on_failure: true },
  });
  const failure = { code: 'STORAGE_FULL', message: 'It is full.', retryable: false } as const;
  await mailing.end({ id, kind: 'backup' }, { failure });
  const { token } = mailing;
  const told = await mailing.t.ask('GET', `/api/notifications?backup_id=${id}`, { token });
  expect(told.json().data).toMatchObject([
    { channel: 'email', target: 'admin@example.com', event: 'backup.failed', state: 'pending' },
    { channel: 'webhook', target: wish.webhook, event: 'backup.failed', state: 'pending', webhook_id: null },
  ]);
  const { id: first } = told.json().data[0];
  const one = await mailing.t.ask('GET', `/api/notifications/${first}`, { token });
  expect(one.json().data.payload.data).toMatchObject({ backup_id: id, status: 'failed' });
  const again = await mailing.t.ask('POST', `/api/notifications/${first}/resend`, { token });
  expect(again.statusCode).toBe(202);
  expect(mailing.t.logged()).not.toMatch(/canary-pw|monitoring\.example|admin@example/);
});

test('e-mail is refused where there is no mail server', async () => {
  const answer = await create(w, wish);
  expect([answer.statusCode, answer.json().code]).toEqual([400, 'NOT_SUPPORTED']);
  expect(answer.json().message).toContain('SMTP_URL');
});

test.each([
  [{}, 'body/notification'],
  [{ on_failure: true }, 'body/notification'],
  [{ webhook: 'http://169.254.169.254/latest' }, 'body/notification/webhook'],
  [{ webhook: 'gopher://x' }, 'body/notification/webhook'],
  [{ email: ['nobody'] }, 'body/notification/email/0'],
  [{ email: [] }, 'body/notification/email'],
  [{ emial: ['a@example.com'] }, 'body/notification/emial'],
])('a wish that cannot be fulfilled is named: %#', async (notification, path) => {
  const answer = await create(mailing, notification);
  expect(answer.statusCode).toBe(400);
  expect(answer.json().details.map((fault: { path: string }) => fault.path)).toContain(path);
});

test('a restore’s request names whom to tell as well', async () => {
  const backupId = await w.backedUp();
  const ask = (body: object) => w.t.ask('POST', `/api/backups/${backupId}/restore`, { token: w.token, body });
  const notification = { webhook: wish.webhook, on_success: false };
  const looked = await ask({ notification, validateOnly: true });
  expect([looked.statusCode, looked.json().details]).toMatchObject([400, [{ path: 'body/notification' }]]);
  const answer = await ask({ notification });
  expect(answer.statusCode).toBe(202);
  const restore = await w.t.db.restores.get(answer.json().data.restoreJobId);
  expect(restore?.notification).toEqual({ email: [], ...notification, on_failure: true });
});
