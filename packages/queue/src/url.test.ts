import { expect, test } from '@jest/globals';
import { parseQueueUrl } from './url.ts';

test('Redis, alone, with sentinels, as a cluster', () => {
  const none = { backend: 'redis', tls: false, db: 0 };
  expect(parseQueueUrl('redis://host')).toEqual({
    ...{ ...none, mode: 'single', nodes: [{ host: 'host', port: 6379 }] },
  });
  expect(parseQueueUrl('rediss://me:p%40ss%3A@[::1]:7000/12')).toEqual({
    ...{ ...none, mode: 'single', nodes: [{ host: '::1', port: 7000 }] },
    ...{ tls: true, db: 12, username: 'me', password: 'p@ss:' },
  });
  expect(parseQueueUrl('redis://:secret@h/')).toMatchObject({ password: 'secret', db: 0 });
  expect(
    parseQueueUrl(
      'redis+sentinel://:pw@s1,s2:26380/3?name=mymaster&sentinelPassword=a%26b&sentinelUsername=u',
    ),
  ).toEqual({
    ...{ ...none, mode: 'sentinel', db: 3, password: 'pw', master: 'mymaster' },
    nodes: [
      { host: 's1', port: 26379 },
      { host: 's2', port: 26380 },
    ],
    ...{ sentinelUsername: 'u', sentinelPassword: 'a&b' },
  });
  expect(parseQueueUrl('rediss+cluster://n1:7000,n2:7001')).toEqual({
    ...{ ...none, mode: 'cluster', tls: true },
    nodes: [
      { host: 'n1', port: 7000 },
      { host: 'n2', port: 7001 },
    ],
  });
});

test('Postgres keeps its own parameters and gets the search path', () => {
  const options = (url: string): string | null => {
    const target = parseQueueUrl(url);
    if (target.backend !== 'postgres') throw new Error('not Postgres');
    return new URL(target.connectionString).searchParams.get('options');
  };
  expect(options('postgres://u:p%2Fw@h:5433/q?sslmode=require')).toBe('-c search_path=bullmq');
  expect(options('postgresql://h/q?options=-c%20work_mem%3D1MB')).toBe(
    '-c work_mem=1MB -c search_path=bullmq',
  );
  expect(parseQueueUrl('postgres://u:p%2Fw@h:5433/q?sslmode=require')).toMatchObject({
    connectionString: expect.stringMatching(/^postgres:\/\/u:p%2Fw@h:5433\/q\?sslmode=require&options=/),
  });
});

test.each([
  'mysql://u:hush@h/db',
  'hush',
  '',
  'redis://',
  'redis://u:hush@',
  'redis://h1,h2',
  'redis://h/hush',
  'redis://h:99999',
  'redis://u:hush%@h',
  'redis://h?hush=1',
  'redis+sentinel://s1/0',
  'redis+cluster://n1/3',
  'redis+other://h',
  'postgres://u:hush@h',
  'postgres://u:hu/sh@h:port/db',
])('%p is refused without its secrets', (url) => {
  let message = '';
  try {
    parseQueueUrl(url);
  } catch (error) {
    message = (error as Error).message;
    expect(error).toMatchObject({ code: 'VALIDATION_FAILED' });
  }
  expect(message).toMatch(/^The queue's URL is not usable: .*\.$/);
  expect(message.includes('hush')).toBe(url.includes('?hush'));
});
