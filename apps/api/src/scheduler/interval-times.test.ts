import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createIntervalTimes, parseInterval } from './interval-times.ts';
import { windowOf } from './window.ts';

const at = (text: string): Date => new Date(text);

test.each([
  ['minutes:15', 900],
  ['hours:24', 86_400],
  ['days:1', 86_400],
  ['weeks:2', 1_209_600],
  ['seconds:90', 90],
])('%s is so many seconds', (interval, seconds) => {
  expect(parseInterval(interval)).toBe(seconds);
});

test.each([
  ...['', '15', 'minutes', 'minutes:', 'minutes:0', 'minutes:-5', 'minutes:1.5', 'minutes:015', 'minute:15'],
  ...['Minutes:15', 'minutes:15 ', 'months:1', 'seconds:59', 'days:3661', 'constructor:1', 'minutes:1e3'],
])('%p is refused', (interval) => {
  expect(() => parseInterval(interval)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
});

test('a day is 24 hours where clocks change', () => {
  const { next } = createIntervalTimes('days:1', at('2026-03-27T01:30:00Z'));
  // Berlin's clocks show 2:30, 2:30 and then 3:30.
  expect(next(at('2026-03-27T01:30:00Z'))).toEqual(at('2026-03-28T01:30:00Z'));
  expect(next(at('2026-03-28T01:30:00Z'))).toEqual(at('2026-03-29T01:30:00Z'));
});

test('the first is one interval after the anchor, also when that lies ahead', () => {
  const { next } = createIntervalTimes('hours:6', at('2026-05-01T12:00:00Z'));
  expect(next(at('2026-05-01T12:00:00Z'))).toEqual(at('2026-05-01T18:00:00Z'));
  expect(next(at('2026-04-01T00:00:00Z'))).toEqual(at('2026-05-01T18:00:00Z'));
});

const anchor = fc.integer({ min: 0, max: 4e12 });
const interval = fc.record({
  unit: fc.constantFrom('minutes', 'hours', 'days', 'weeks'),
  value: fc.integer({ min: 1, max: 500 }),
});

test('whenever it is looked at, by whoever, every time comes once and none comes between', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 40_000_000_000 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(anchor, interval, gaps, (from, { unit, value }, looks) => {
      const every = parseInterval(`${unit}:${value}`) * 1000;
      let due = createIntervalTimes(`${unit}:${value}`, new Date(from)).next(new Date(from)) as Date;
      let now = from;
      let counted = 0;
      for (const gap of looks) {
        now += gap;
        if (due.getTime() > now) continue;
        // Another process each time, which knows what is stored alone.
        const times = createIntervalTimes(`${unit}:${value}`, new Date(from));
        const window = windowOf(times, due, new Date(now));
        expect((window.due.getTime() - from) % every).toBe(0);
        expect(window.due.getTime()).toBeLessThanOrEqual(now);
        expect(window.next.getTime() - window.due.getTime()).toBe(every);
        expect(window.next.getTime()).toBeGreaterThan(now);
        // Very many are not counted one by one.
        if (window.missed < 500) expect((window.due.getTime() - due.getTime()) / every).toBe(window.missed);
        counted += (window.next.getTime() - due.getTime()) / every;
        due = window.next;
      }
      expect(counted).toBe(Math.floor((now - from) / every));
    }),
  );
});
