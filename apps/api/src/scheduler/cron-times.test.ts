import { expect, test } from '@jest/globals';
import { createCronTimes } from './cron-times.ts';

/** The times of a pattern after `from`, up to and with `to`. */
function times(pattern: string, zone: string, from: string, to: string): string[] {
  const cron = createCronTimes(pattern, zone);
  const found: string[] = [];
  for (let at = cron.next(new Date(from)); at && at <= new Date(to); at = cron.next(at)) {
    found.push(at.toISOString().slice(5, 16));
  }
  return found;
}

const EVERY_HALF_HOUR = (from: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) =>
    new Date(Date.parse(from) + n * 1_800_000).toISOString().slice(5, 16),
  );

test.each([
  // Clocks are put forward: Berlin jumps from 2:00 to 3:00 at 01:00Z, New York at 07:00Z, Lord Howe from 2:00 to 2:30.
  [
    '30 2 * * *',
    'Europe/Berlin',
    '2026-03-27T12:00Z',
    '2026-03-30T12:00Z',
    ['03-28T01:30', '03-29T01:00', '03-30T00:30'],
  ],
  [
    '0 2 * * *',
    'America/New_York',
    '2026-03-07T00:00Z',
    '2026-03-09T12:00Z',
    ['03-07T07:00', '03-08T07:00', '03-09T06:00'],
  ],
  [
    '30 2 8-14 3 0',
    'America/New_York',
    '2026-03-07T12:00Z',
    '2026-03-09T12:00Z',
    ['03-08T07:00', '03-09T06:30'],
  ],
  [
    '15 2 * * *',
    'Australia/Lord_Howe',
    '2026-10-02T00:00Z',
    '2026-10-05T00:00Z',
    ['10-02T15:45', '10-03T15:30', '10-04T15:15'],
  ],
  ['30 2 29 3 *', 'Europe/Berlin', '2026-03-01T00:00Z', '2027-04-01T00:00Z', ['03-29T01:00', '03-29T00:30']],
  // Several that are jumped over become one, and one that is due right then anyway is not doubled.
  ['*/15 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-29T12:00Z', ['03-29T01:00']],
  ['0 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-29T12:00Z', ['03-29T01:00']],
  [
    '0 */2 * * *',
    'Europe/Berlin',
    '2026-03-28T22:00Z',
    '2026-03-29T04:00Z',
    ['03-28T23:00', '03-29T01:00', '03-29T02:00', '03-29T04:00'],
  ],
  // Clocks are put back: what comes twice counts the first time.
  [
    '30 2 * * *',
    'Europe/Berlin',
    '2026-10-24T00:00Z',
    '2026-10-26T12:00Z',
    ['10-24T00:30', '10-25T00:30', '10-26T01:30'],
  ],
  [
    '30 1 * * *',
    'America/New_York',
    '2026-10-31T12:00Z',
    '2026-11-02T12:00Z',
    ['11-01T05:30', '11-02T06:30'],
  ],
  [
    '45 1 * * *',
    'Australia/Lord_Howe',
    '2026-04-03T00:00Z',
    '2026-04-05T20:00Z',
    ['04-03T14:45', '04-04T14:45', '04-05T15:15'],
  ],
  [
    '*/15 2 * * *',
    'Europe/Berlin',
    '2026-10-24T12:00Z',
    '2026-10-25T12:00Z',
    ['10-25T00:00', '10-25T00:15', '10-25T00:30', '10-25T00:45'],
  ],
  [
    '0 */2 * * *',
    'Europe/Berlin',
    '2026-10-24T21:00Z',
    '2026-10-25T03:00Z',
    ['10-24T22:00', '10-25T00:00', '10-25T03:00'],
  ],
  // Midnight itself is missing or comes twice.
  ['0 0 * * *', 'America/Santiago', '2026-09-05T12:00Z', '2026-09-07T12:00Z', ['09-06T04:00', '09-07T03:00']],
  [
    '30 23 * * *',
    'America/Santiago',
    '2026-04-03T12:00Z',
    '2026-04-05T12:00Z',
    ['04-04T02:30', '04-05T02:30'],
  ],
  // A whole day that a zone left out.
  [
    '0 12 * * *',
    'Pacific/Apia',
    '2011-12-29T00:00Z',
    '2012-01-01T00:00Z',
    ['12-29T22:00', '12-30T10:00', '12-30T22:00', '12-31T22:00'],
  ],
])('%s in %s where clocks change', (pattern, zone, from, to, expected) => {
  expect(times(pattern, zone, from, to)).toEqual(expected);
});

test.each([
  ['*/30 * * * *', 'Europe/Berlin', '2026-03-28T22:30Z'],
  ['*/30 * * * *', 'Europe/Berlin', '2026-10-24T22:30Z'],
  ['0,30 0-23 * * *', 'America/New_York', '2026-03-08T05:00Z'],
  ['*/30 * * * *', 'America/New_York', '2026-11-01T03:00Z'],
  ['*/30 * * * *', 'Australia/Lord_Howe', '2026-10-03T12:00Z'],
  ['*/30 * * * *', 'Australia/Lord_Howe', '2026-04-04T12:00Z'],
])('%s in %s from %s on goes by real time', (pattern, zone, from) => {
  const until = new Date(Date.parse(from) + 12 * 3_600_000).toISOString();
  expect(times(pattern, zone, from, until)).toEqual(
    EVERY_HALF_HOUR(new Date(Date.parse(from) + 1_800_000).toISOString(), 24),
  );
});

test('an hourly minute that a half hour of jump leaves out comes right after it', () => {
  expect(times('15 * * * *', 'Australia/Lord_Howe', '2026-10-03T14:00Z', '2026-10-03T17:00Z')).toEqual([
    ...['10-03T14:45', '10-03T15:30', '10-03T16:15'],
  ]);
});

test('the time after an instant does not depend on where the search begins', () => {
  for (const pattern of ['30 2 * * *', '*/20 * * * *', '45 1,2,3 * * 0']) {
    for (const zone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) {
      const cron = createCronTimes(pattern, zone);
      for (const day of [
        '2026-03-08',
        '2026-03-29',
        '2026-04-04',
        '2026-10-03',
        '2026-10-25',
        '2026-11-01',
      ]) {
        const [start, end] = [Date.parse(`${day}T00:00Z`), Date.parse(`${day}T23:59Z`)];
        const all: number[] = [];
        let at = cron.next(new Date(start));
        while (at && at.getTime() <= end + 7.5 * 86_400_000) {
          all.push(at.getTime());
          at = cron.next(at);
        }
        for (let from = start; from < end; from += 47 * 60_000) {
          const wanted = all.find((one) => one > from);
          expect([pattern, zone, cron.next(new Date(from))?.getTime()]).toEqual([pattern, zone, wanted]);
        }
      }
    }
  }
});

test.each([
  ...['* * * *', '* * * * * *', '61 * * * *', '0 25 * * *', '0 2 * * 8', '@daily', '? * * * *', '', 'x'],
  ...['2026-01-01T00:00:00', '0 2 * * MON-', '0  2 31 2 *', '*/0 * * * *', '0 0 30 2 *'],
])('%s is no pattern', (pattern) => {
  expect(() => createCronTimes(pattern, 'UTC')).toThrow(
    expect.objectContaining({ code: 'VALIDATION_FAILED' }),
  );
});

test.each(['', 'Europe/Bonn', '+01:00', 'Berlin', '../etc'])('%s is no zone', (zone) => {
  expect(() => createCronTimes('0 2 * * *', zone)).toThrow(
    expect.objectContaining({ code: 'VALIDATION_FAILED' }),
  );
});

test('names of days and months, lists, ranges, steps and the last day of a month', () => {
  expect(times('0 2 * JAN MON-FRI/2', 'UTC', '2026-01-01T00:00Z', '2026-01-08T00:00Z')).toEqual([
    ...['01-02T02:00', '01-05T02:00', '01-07T02:00'],
  ]);
  expect(times('5 4 L * *', 'UTC', '2028-02-01T00:00Z', '2028-03-31T12:00Z')).toEqual([
    '02-29T04:05',
    '03-31T04:05',
  ]);
  // Day of the month or day of the week, as cron has it where both are given.
  expect(times('0 0 13 * 5', 'UTC', '2026-02-01T00:00Z', '2026-02-14T00:00Z')).toEqual([
    '02-06T00:00',
    '02-13T00:00',
  ]);
});
