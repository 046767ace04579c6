import { expect, test } from '@jest/globals';
import { Type } from 'typebox';
import type { Api } from '../api-type.ts';
import { buildTestApp } from '../testing/test-app.ts';

test('a bucket is counted for each user over all replicas, and mistyped requests cost nothing', async () => {
  const t = await buildTestApp({ env: { RATE_LIMIT_RESTORES_PER_HOUR: '2' } });
  try {
    const other = await t.replica();
    for (const app of [t.app, other]) addRoute(app);
    const one = await t.as('viewer');
    const two = await t.as('viewer');
    const send = (app: Api, token: string, payload: object) =>
      app.inject({
        method: 'POST',
        url: '/test/restores',
        headers: { authorization: `Bearer ${token}` },
        payload,
      });
    expect((await send(t.app, one.token, { x: 1 })).statusCode).toBe(400);
    const first = await send(t.app, one.token, {});
    expect(first.statusCode).toBe(200);
    expect(first.headers['ratelimit-limit']).toBe('2');
    expect(first.headers['ratelimit-remaining']).toBe('1');
    expect(Number(first.headers['ratelimit-reset'])).toBeGreaterThan(3590);
    expect((await send(other, one.token, {})).headers['ratelimit-remaining']).toBe('0');
    const refused = await send(t.app, one.token, {});
    expect(refused.statusCode).toBe(429);
    expect(refused.json()).toMatchObject({
      code: 'RATE_LIMITED',
      error: 'Too Many Requests',
      details: { limit: 2, window_seconds: 3600 },
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(3590);
    expect(refused.headers['ratelimit-limit']).toBe('2');
    expect((await send(other, two.token, {})).statusCode).toBe(200);
  } finally {
    await t.close();
  }
});

function addRoute(app: Api): void {
  app.post(
    '/test/restores',
    {
      config: { rateLimit: 'restores', audit: { action: 'test.start', target: 'job' } },
      schema: {
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: Type.Object({ ok: Type.Boolean() }) },
      },
    },
    async () => ({ ok: true }),
  );
}
