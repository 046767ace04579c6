import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createDatabase } from '@tarfleet/db';
import { startRedis } from '@tarfleet/testbed';
import { buildTestApp } from '../../testing/test-app.ts';

test('ready while both parts answer, and which one is down when it does not', async () => {
  let redis = await startRedis();
  const t = await buildTestApp({ queueUrl: redis.url() });
  try {
    expect((await t.ask('GET', '/healthz')).json()).toEqual({ success: true, status: 'ok' });
    const up = await t.ask('GET', '/readyz');
    expect([up.statusCode, up.json()]).toEqual([
      200,
      { success: true, status: 'ready', parts: { database: 'up', queue: 'up' } },
    ]);
    await redis.stop();
    const down = await t.ask('GET', '/readyz');
    expect([down.statusCode, down.json()]).toEqual([
      503,
      { success: false, status: 'not_ready', parts: { database: 'up', queue: 'down' } },
    ]);
    expect((await t.ask('GET', '/healthz')).statusCode).toBe(200);
    redis = await startRedis({ port: redis.port });
    while ((await t.ask('GET', '/readyz')).statusCode !== 200) await sleep(100);
  } finally {
    await t.close();
    await redis.stop();
  }
});

test('while the database is gone, requests are told to come back', async () => {
  const t = await buildTestApp();
  const gone = createDatabase({ url: 'postgres://user:canary-4711@127.0.0.1:1/none' });
  try {
    const { token } = await t.as('admin');
    const app = await t.replica({ db: gone });
    const headers = { authorization: `Bearer ${token}` };
    const answer = await app.inject({ url: '/api/servers', headers });
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'UNAVAILABLE']);
    expect(answer.headers['retry-after']).toBeTruthy();
    const ready = await app.inject({ url: '/readyz' });
    expect(ready.json().parts).toEqual({ database: 'down', queue: 'up' });
    expect(answer.body + ready.body + t.logged()).not.toContain('canary-4711');
  } finally {
    await t.close();
    await gone.close();
  }
});

test('figures of requests are kept by route, never by path', async () => {
  const t = await buildTestApp();
  try {
    const { token } = await t.as('admin');
    const id = crypto.randomUUID();
    await t.ask('GET', `/api/servers/${id}`, { token });
    await t.ask('GET', `/nowhere/${id}`);
    const answer = await t.ask('GET', '/metrics');
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(answer.body).toMatch(
      /tarfleet_http_request_duration_seconds_count\{method="GET",route="\/api\/servers\/:id",status="404"\} 1/,
    );
    expect(answer.body).toMatch(/route="none",status="404"/);
    expect(answer.body).not.toContain(id);
  } finally {
    await t.close();
  }
});
