// What was due and came to no backup is told to those who are told of failures.
import { expect, test } from '@jest/globals';
import type { ScheduleDraft } from '@tarfleet/db';
import { useScheduleFixture } from '../testing/schedule-fixture.ts';

const DUE = new Date('2026-05-01T02:00:00Z');
const here = useScheduleFixture();
const look = () => here.looks().tickAll();
/** One that is due now. */
const schedule = (change: Partial<ScheduleDraft>) => {
  here.at(DUE.toISOString());
  return here.schedule({ services: [], nextAt: DUE, ...change });
};

const told = async () =>
  (await here.t.db.deliveries.list({ scope: [here.t.project.id], page: 1, perPage: 100 })).items;

test('a run that begins no backup is a failure that is told, once', async () => {
  await here.t.addService(here.t.server.id);
  const { id: webhookId } = await here.t.db.webhooks.create({
    ...{ id: crypto.randomUUID(), projectId: here.t.project.id, url: 'https://hooks.example.com/' },
    ...{ events: ['backup.failed'], secretCiphertext: 'x' },
  });
  const notification = { email: ['ops@example.com'], webhook: null, on_success: false, on_failure: true };
  const { id, name } = await schedule({ components: ['nothing has this'], notification });
  await look();
  await look();
  const deliveries = await told();
  expect(deliveries.map(({ channel, event }) => [channel, event]).sort()).toEqual([
    ['email', 'backup.failed'],
    ['webhook', 'backup.failed'],
  ]);
  const hook = deliveries.find(({ channel }) => channel === 'webhook');
  expect(hook?.webhookId).toBe(webhookId);
  expect(JSON.parse(hook?.payload ?? '')).toMatchObject({
    event: 'backup.failed',
    data: {
      ...{ backup_id: null, status: 'failed', name, schedule_id: id, due_at: DUE.toISOString() },
      error: { code: 'COMPONENT_NOT_FOUND', message: expect.stringContaining('nothing has this') },
    },
  });
});

test('one that begins is told by its backup, not here; nor where nobody wants to hear of failures', async () => {
  const before = (await told()).length;
  await schedule({});
  const notification = { email: ['ops@example.com'], webhook: null, on_success: true, on_failure: false };
  await schedule({ components: ['nothing has this'], notification });
  await look();
  // The project's webhook alone, of the second.
  expect((await told()).length).toBe(before + 1);
});
