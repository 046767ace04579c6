import { expect, test } from '@jest/globals';
import { createPace } from './pace.ts';

test('the rate of the last seconds, and what is left at it', () => {
  let now = 1_000_000;
  const pace = createPace(100_000, () => now);
  expect(pace.at(0)).toEqual({ bytesPerSecond: null, secondsLeft: null });
  now += 1000;
  expect(pace.at(1000)).toEqual({ bytesPerSecond: 1000, secondsLeft: 99 });
  // A long steady run at ten times the pace: the slow start is forgotten.
  for (let second = 1; second <= 20; second += 1) {
    now += 250 * 4;
    pace.at(1000 + second * 1);
  }
  for (let second = 1; second <= 30; second += 1) {
    now += 1000;
    pace.at(1020 + second * 1000);
  }
  expect(pace.at(31_020).bytesPerSecond).toBeCloseTo(1000, 0);
});

test('no estimate without a total, without movement, or past the total', () => {
  let now = 0;
  const open = createPace(null, () => now);
  const closed = createPace(10, () => now);
  now = 1000;
  expect(open.at(500)).toEqual({ bytesPerSecond: 500, secondsLeft: null });
  expect(closed.at(0)).toEqual({ bytesPerSecond: 0, secondsLeft: null });
  expect(closed.at(20)).toEqual({ bytesPerSecond: 20, secondsLeft: 0 });
});
