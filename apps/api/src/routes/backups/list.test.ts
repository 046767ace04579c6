import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld();
});
afterAll(() => world.close());

test('a backup is in the list of its own day, and not in that of the day before', async () => {
  const id = await world.backedUp();
  const { createdAt } = (await world.t.db.backups.get(id))!;
  const day = (offset: number): string =>
    new Date(createdAt.getTime() + offset * 86_400_000).toISOString().slice(0, 10);
  const listed = async (query: string): Promise<string[]> => {
    const answer = await world.t.ask('GET', `/api/backups/list?${query}`, { token: world.token });
    return answer.json().data.backups.map((backup: { id: string }) => backup.id);
  };
  expect(await listed(`start_date=${day(0)}&end_date=${day(0)}`)).toEqual([id]);
  expect(await listed(`end_date=${day(-1)}`)).toEqual([]);
  expect(await listed(`start_date=${day(1)}`)).toEqual([]);
});

test('a database of files is as large in the list as in the details', async () => {
  await world.t.db.services.update(world.serviceId, { component: 'database' });
  const id = await world.backedUp();
  const ask = async (path: string) => (await world.t.ask('GET', path, { token: world.token })).json().data;
  const [listed] = (await ask('/api/backups/list')).backups;
  const { components } = await ask(`/api/backups/${id}`);
  expect([listed.id, listed.metadata.database_size]).toEqual([id, 20]);
  expect(components.database.size_bytes).toBe(20);
  await world.t.db.services.update(world.serviceId, { component: 'files' });
});

test('a destination that does not exist is a fault of the request, and no error of ours', async () => {
  const destination_id = '019b0000-0000-7000-8000-000000000000';
  const ask = () =>
    world.t.ask('POST', '/api/backups/create', {
      token: world.token,
      body: { type: 'full', encrypt: false, destination_id },
    });
  const answer = await ask();
  expect([answer.statusCode, answer.json().code]).toEqual([404, 'NOT_FOUND']);
  expect(answer.json().message).toContain(destination_id);
  expect(world.t.logged()).not.toContain('"request failed"');
});
