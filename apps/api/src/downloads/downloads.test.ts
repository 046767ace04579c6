import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { type DownloadWorld, openDownloadWorld } from '../testing/download-world.ts';
import { silent } from '../testing/run-fixture.ts';
import { openDownloadStream } from './download-stream.ts';
import { createDownloads } from './downloads.ts';

let world: DownloadWorld;
beforeAll(async () => {
  world = await openDownloadWorld('local');
});
afterAll(() => world.close());

const open = (holdSeconds: number, most = 2) =>
  createDownloads({ db: world.t.db, logger: silent, most, holdSeconds });
const remove = (id: string) => world.t.ask('DELETE', `/api/backup/${id}`, { token: world.token });
const free = async () => (await world.t.db.backups.hiddenAndFree(10)).map(({ id }) => id);

test('the hold of a process that was killed ends by itself, and the objects go then', async () => {
  const { id } = await world.stored([10]);
  // Nobody moves its end on.
  await world.t.db.transaction((tx) => tx.holds.take(id, 1));
  expect((await remove(id)).statusCode).toBe(200);
  expect(await free()).not.toContain(id);
  while ((await world.t.db.holds.purge()) === 0) await sleep(50);
  expect(await free()).toContain(id);
});

test('a living process keeps its hold, and one that has lost it reads no further', async () => {
  const { id } = await world.stored([10]);
  const download = await open(0.6).begin(id);
  const until = Date.now() + 1500;
  while (Date.now() < until) {
    expect(await world.t.db.holds.purge()).toBe(0);
    await sleep(100);
  }
  expect([await world.t.db.holds.count(id), download.signal.aborted]).toEqual([1, false]);
  // As if it had been frozen for longer than its hold.
  await query(world.t.databaseUrl, `DELETE FROM backup_holds WHERE backup_id = '${id}'`);
  while (!download.signal.aborted) await sleep(50);
  expect(download.signal.reason).toMatchObject({ code: 'CONFLICT' });
  await download.end();
});

test('so many at once, and no more', async () => {
  const { id } = await world.stored([10]);
  const downloads = open(60);
  const [first, second] = [await downloads.begin(id), await downloads.begin(id)];
  await expect(downloads.begin(id)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await first.end();
  await first.end();
  const third = await downloads.begin(id);
  await expect(downloads.begin(id)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await second.end();
  await third.end();
  expect(await world.t.db.holds.count(id)).toBe(0);
});

test('a backup that is not there, or still runs, is not held', async () => {
  const downloads = open(60, 1);
  const started = await world.t.ask('POST', '/api/backup/create', {
    ...{ token: world.token, body: { type: 'full', encrypt: false } },
  });
  const { id } = started.json().backup;
  await expect(downloads.begin(id)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
  await expect(downloads.begin(world.serverId)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
  // Neither counts as one that runs.
  await downloads.close(0);
});

test('a client that takes nothing for too long is let go', async () => {
  const controller = new AbortController();
  let closed = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield Buffer.alloc(1024 * 1024);
    } finally {
      closed = true;
    }
  }
  const ended = new Promise<Error | null>((resolve) => {
    const onEnd = (_bytes: number, error: Error | null): void => resolve(error);
    void openDownloadStream(source(), { idleMs: 50, controller, onEnd }).then((stream) => stream.read(1));
  });
  expect(await ended).toMatchObject({ code: 'UNAVAILABLE' });
  while (!closed) await sleep(10);
});

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
