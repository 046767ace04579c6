import { expect, test } from '@jest/globals';
import { type Period, periodOf } from './period.ts';

test.each<[Period, string, string, string]>([
  ['day', '2024-02-29T23:59:59.999Z', '2024-02-29', '2024-03-01'],
  ['week', '2024-03-03T00:00:00Z', '2024-02-26', '2024-03-04'],
  ['week', '2024-03-04T00:00:00Z', '2024-03-04', '2024-03-11'],
  ['week', '2025-01-01T12:00:00Z', '2024-12-30', '2025-01-06'],
  ['month', '2024-12-31T23:59:59Z', '2024-12-01', '2025-01-01'],
  ['month', '2024-02-10T00:00:00Z', '2024-02-01', '2024-03-01'],
  ['year', '2024-07-01T00:00:00Z', '2024-01-01', '2025-01-01'],
])('the %s of %s is from %s to before %s', (period, at, from, to) => {
  expect(periodOf(period, new Date(at))).toEqual({ from: new Date(from), to: new Date(to) });
});
