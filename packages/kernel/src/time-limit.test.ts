import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { timeLimit } from './time-limit.ts';

// As nobody would otherwise collect at the very moment.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('a limit comes although nothing but a combined signal holds it', async () => {
  const limits: unknown[] = [];
  for (let round = 0; round < 3; round += 1) {
    const both = AbortSignal.any([new AbortController().signal, timeLimit(150)]);
    both.addEventListener('abort', () => limits.push(both.reason));
  }
  await sleep(20);
  collect();
  const end = performance.now() + 10_000;
  while (limits.length < 3 && performance.now() < end) await sleep(20);
  expect(limits).toEqual(Array(3).fill(expect.objectContaining({ name: 'TimeoutError' })));
});
