import { expect, test } from '@jest/globals';
import { keepingReporter } from '../testing.ts';
import { warnOnce } from './warn-once.ts';

test('what was told is not told again, and each of two names is', async () => {
  const { report, batches } = keepingReporter();
  const once = warnOnce(report);
  const warning = { code: 'FILE_UNREADABLE', message: 'it cannot be read' };
  // Two names that look the same as text.
  const [one, other] = [Buffer.from('/\xe9', 'latin1'), Buffer.from('/\xe8', 'latin1')];
  for (let time = 0; time < 2; time += 1) {
    for (const path of [one, other]) once.warn({ ...warning, path });
    once.warn(warning);
    once.warn({ ...warning, code: 'OTHER' });
  }
  await once.flush();
  const told = batches.flatMap(({ events }) => events);
  expect(told.map((event) => event.type === 'warning' && [event.code, event.pathBase64])).toEqual([
    ['FILE_UNREADABLE', one.toString('base64')],
    ['FILE_UNREADABLE', other.toString('base64')],
    ['FILE_UNREADABLE', undefined],
    ['OTHER', undefined],
  ]);
  expect(once.warnings()).toBe(4);
});
