import { expect, test } from '@jest/globals';
import type { RetentionPolicy } from '@tarfleet/contracts';
import type { SeriesMember } from '@tarfleet/db';
import { mulberry } from '../testing/random.ts';
import { createBuckets, isTimezone } from './bucket.ts';
import { type AppliedPolicy, evaluateSeries, type Reason } from './evaluate.ts';

const NOW = new Date('2026-11-20T12:00:00Z');
let made = 0;
const member = (at: string, change: Partial<SeriesMember> = {}): SeriesMember => ({
  ...{
    id: `id-${String(++made).padStart(6, '0')}`,
    projectId: 1,
    destinationId: 'd',
    series: 's',
    scheduleId: null,
  },
  ...{ status: 'completed', createdAt: new Date(at), retentionUntil: null, damaged: false },
  ...{ lockedAt: null, lockReason: null, lockUntil: null },
  ...change,
});
const by = (policy: RetentionPolicy, level: AppliedPolicy['level'] = 'project'): AppliedPolicy => ({
  level,
  policy,
});
const ofSchedule = (scheduleId: string, policy: RetentionPolicy): AppliedPolicy => ({
  ...{ level: 'schedule', scheduleId, policy },
});
const evaluate = (members: SeriesMember[], ...policies: AppliedPolicy[]) => {
  const found = evaluateSeries(members, policies, NOW);
  expect([...found.keys()].sort()).toEqual(members.map(({ id }) => id).sort());
  return members.map(({ id }) => found.get(id) as Reason[]);
};
const rules = (reasons: Reason[]) => reasons.map(({ rule, bucket }) => (bucket ? `${rule} ${bucket}` : rule));
const kept = (members: SeriesMember[], ...policies: AppliedPolicy[]) =>
  evaluate(members, ...policies).map(rules);

const OVER = { retentionUntil: new Date('2026-11-01T00:00:00Z') };
const LASTING = { retentionUntil: new Date('2026-12-01T00:00:00Z') };

test('without a policy backups go by their own days, and the newest stays', () => {
  const members = [
    member('2026-10-01T00:00:00Z', OVER),
    member('2026-10-02T00:00:00Z', LASTING),
    member('2026-10-03T00:00:00Z'),
    member('2026-10-04T00:00:00Z', OVER),
  ];
  expect(kept(members)).toEqual([[], ['retention_days'], ['no_end'], ['keep_newest']]);
});

test('days that end now are over, and not a moment before', () => {
  const at = (ms: number) => ({ retentionUntil: new Date(NOW.getTime() + ms) });
  const newest = member('2026-11-01T00:00:00Z', OVER);
  const members = [member('2026-10-01T00:00:00Z', at(0)), member('2026-10-01T00:00:00Z', at(1)), newest];
  expect(kept(members)).toEqual([[], ['retention_days'], ['keep_newest']]);
});

test('a policy says how long those are kept that say nothing themselves; own days are kept to', () => {
  const members = [
    member('2026-11-10T12:00:00Z'),
    member('2026-11-10T12:00:01Z'),
    member('2026-11-01T00:00:00Z', LASTING),
    member('2026-11-19T00:00:00Z'),
  ];
  expect(kept(members, by({ days: 10 }))).toEqual([
    [],
    ['days'],
    ['retention_days'],
    ['days', 'keep_newest'],
  ]);
});

test('a policy without a rule on what to keep lets nothing go that has no end', () => {
  const members = [member('2020-01-01T00:00:00Z'), member('2021-01-01T00:00:00Z', OVER)];
  for (const policy of [{ keep_newest: false }, { timezone: 'UTC', keep_newest: false }]) {
    expect(kept(members, by(policy))).toEqual([['no_end'], []]);
  }
});

test('keep_last counts completed, sound ones alone', () => {
  const members = [
    member('2026-11-01T00:00:00Z'),
    member('2026-11-02T00:00:00Z'),
    member('2026-11-03T00:00:00Z', { damaged: true }),
    member('2026-11-04T00:00:00Z', { status: 'partial' }),
    member('2026-11-05T00:00:00Z'),
  ];
  expect(kept(members, by({ keep_last: 2 }))).toEqual([
    ...[[], ['keep_last'], [], []],
    ['keep_last', 'keep_newest'],
  ]);
});

test('grandfather, father, son: the newest of each day, week, month, year that has any', () => {
  const members = [
    member('2024-06-01T00:00:00Z'),
    member('2025-12-31T23:00:00Z'),
    member('2026-09-30T02:00:00Z'),
    member('2026-10-30T02:00:00Z'),
    member('2026-11-15T02:00:00Z'),
    member('2026-11-18T02:00:00Z'),
    member('2026-11-20T02:00:00Z'),
    member('2026-11-20T03:00:00Z'),
  ];
  const policy = { keep_daily: 2, keep_weekly: 2, keep_monthly: 3, keep_yearly: 2 };
  expect(kept(members, by(policy))).toEqual([
    [],
    ['keep_yearly 2025'],
    ['keep_monthly 2026-09'],
    ['keep_monthly 2026-10'],
    ['keep_weekly 2026-W46'],
    ['keep_daily 2026-11-18'],
    [],
    [
      ...['keep_daily 2026-11-20', 'keep_weekly 2026-W47', 'keep_monthly 2026-11', 'keep_yearly 2026'],
      'keep_newest',
    ],
  ]);
});

test('a partial or damaged one stands for no day, and the one before it does', () => {
  const members = [
    member('2026-11-19T01:00:00Z'),
    member('2026-11-19T02:00:00Z', { damaged: true }),
    member('2026-11-19T03:00:00Z', { status: 'partial' }),
    member('2026-11-20T01:00:00Z'),
  ];
  expect(kept(members, by({ keep_daily: 5 }))).toEqual([
    ...[['keep_daily 2026-11-19'], [], []],
    ['keep_daily 2026-11-20', 'keep_newest'],
  ]);
});

test('days begin where the policy says, and the hour that comes twice is two', () => {
  const members = [
    member('2026-10-24T21:30:00Z'),
    member('2026-10-24T22:30:00Z'),
    member('2026-10-25T00:30:00Z'),
    member('2026-10-25T01:30:00Z'),
  ];
  expect(kept(members, by({ keep_daily: 9, timezone: 'Europe/Berlin', keep_newest: false }))).toEqual([
    ...[['keep_daily 2026-10-24'], [], []],
    ['keep_daily 2026-10-25'],
  ]);
  expect(kept(members, by({ keep_hourly: 9, timezone: 'Europe/Berlin', keep_newest: false }))).toEqual([
    ['keep_hourly 2026-10-24 23h GMT+02:00'],
    ['keep_hourly 2026-10-25 00h GMT+02:00'],
    ['keep_hourly 2026-10-25 02h GMT+02:00'],
    ['keep_hourly 2026-10-25 02h GMT+01:00'],
  ]);
});

test('weeks are those of ISO 8601', () => {
  const bucket = createBuckets('UTC');
  const weeks = {
    '2024-12-29': '2024-W52',
    '2024-12-30': '2025-W01',
    '2026-12-31': '2026-W53',
    '2027-01-03': '2026-W53',
    '2027-01-04': '2027-W01',
    '2023-01-01': '2022-W52',
  };
  for (const [day, week] of Object.entries(weeks)) {
    expect([day, bucket(new Date(`${day}T12:00:00Z`), 'weekly')]).toEqual([day, week]);
  }
  expect([isTimezone('Europe/Berlin'), isTimezone('UTC'), isTimezone('Mars/Olympus')]).toEqual([
    ...[true, true, false],
  ]);
});

test('a backup is kept when any of several policies keeps it', () => {
  const members = [
    member('2026-11-01T00:00:00Z'),
    member('2026-11-19T00:00:00Z'),
    member('2026-11-20T00:00:00Z'),
  ];
  const both = [by({ keep_last: 1, keep_newest: false }), by({ days: 2 }, 'destination')] as const;
  const found = evaluate(members, ...both);
  expect(found.map(rules)).toEqual([[], ['days'], ['keep_last', 'days', 'keep_newest']]);
  expect(found[2]?.map(({ level }) => level)).toEqual(['project', 'destination', null]);
});

test('the newest goes only when every policy in force says so', () => {
  const members = [member('2026-01-01T00:00:00Z', OVER)];
  expect(kept(members, by({ days: 1, keep_newest: false }))).toEqual([[]]);
  expect(kept(members, by({ days: 1, keep_newest: false }), by({ days: 1 }, 'destination'))).toEqual([
    ['keep_newest'],
  ]);
});

test('the newest of all stays, the newest completed one, and the newest sound one', () => {
  const damaged = [
    member('2026-01-01T00:00:00Z', OVER),
    member('2026-01-02T00:00:00Z', OVER),
    member('2026-01-03T00:00:00Z', { ...OVER, damaged: true }),
    member('2026-01-04T00:00:00Z', { ...OVER, status: 'partial' }),
  ];
  expect(kept(damaged)).toEqual([[], ['keep_newest'], ['keep_newest'], ['keep_newest']]);
  const partial = [1, 2].map((day) => member(`2026-01-0${day}T00:00:00Z`, { ...OVER, status: 'partial' }));
  expect(kept(partial)).toEqual([[], ['keep_newest']]);
});

test('a schedule’s policy rules over its own backups in place of the project’s, and the destination’s adds', () => {
  const day = (date: number, scheduleId: string | null) =>
    member(`2026-01-${String(date).padStart(2, '0')}T00:00:00Z`, { ...OVER, scheduleId });
  const members = [
    ...[day(1, 'a'), day(2, 'a'), day(3, 'a')],
    ...[day(4, null), day(5, null), day(6, 'gone'), day(7, 'b'), day(8, 'b')],
  ];
  const policies = [
    by({ keep_last: 1 }),
    ofSchedule('a', { keep_last: 2 }),
    ofSchedule('b', { keep_last: 1 }),
  ];
  const last = ['keep_last'];
  // What was made by hand, or by a schedule without a policy, is the project's, and counts apart.
  expect(kept(members, ...policies)).toEqual([[], last, last, [], [], last, [], [...last, 'keep_newest']]);
  expect(evaluate(members, ...policies).map(([first]) => first?.level)).toEqual(
    ['none', 'schedule', 'schedule', 'none', 'none', 'project', 'none', 'schedule'].map((level) =>
      level === 'none' ? undefined : level,
    ),
  );
  const two = kept(members, ...policies, by({ keep_last: 4 }, 'destination'));
  expect(two.slice(4)).toEqual([last, [...last, ...last], last, [...last, ...last, 'keep_newest']]);
});

test('without days of its own a backup goes by its schedule’s policy, and stays where none rules', () => {
  const members = ['a', 'a', null, null].map((scheduleId, index) =>
    member(`2026-01-0${index + 1}T00:00:00Z`, { scheduleId }),
  );
  const policy = ofSchedule('a', { keep_last: 1 });
  expect(kept(members, policy)).toEqual([[], ['keep_last'], ['no_end'], ['no_end', 'keep_newest']]);
  // A policy that has no rule lets nothing go that has no end.
  expect(kept(members, ofSchedule('a', { keep_newest: false }))[0]).toEqual(['no_end']);
});

test('the newest goes only where its own policies say so, and then the newest of the others stays', () => {
  const [mine, manual, newest] = [
    member('2026-01-01T00:00:00Z', OVER),
    member('2026-01-02T00:00:00Z', OVER),
    member('2026-01-03T00:00:00Z', { ...OVER, scheduleId: 'a' }),
  ];
  const members = [mine, manual, newest];
  const away = { keep_newest: false, days: 1 };
  expect(kept(members, by(away))).toEqual([[], [], []]);
  expect(kept(members, ofSchedule('a', away))).toEqual([[], ['keep_newest'], []]);
  expect(kept(members, by(away), ofSchedule('a', { days: 1 }))).toEqual([[], [], ['keep_newest']]);
  expect(kept(members, by(away), ofSchedule('a', away))).toEqual([[], [], []]);
});

test('a lock keeps until its end, and one without an end for ever', () => {
  const since = { ...OVER, lockedAt: new Date('2026-01-05T00:00:00Z'), lockReason: 'x' };
  const members = [
    member('2026-01-01T00:00:00Z', { ...since, lockUntil: null }),
    member('2026-01-02T00:00:00Z', { ...since, lockUntil: new Date('2026-11-20T12:00:01Z') }),
    member('2026-01-03T00:00:00Z', { ...since, lockUntil: NOW }),
    member('2026-01-04T00:00:00Z', OVER),
  ];
  expect(kept(members)).toEqual([['locked'], ['locked'], [], ['keep_newest']]);
});

test('of any series and policy: more rules keep more, what goes is never the newest, order does not matter', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
  const random = mulberry(seed);
  const pick = (most: number): number => Math.floor(random() * most);
  for (let round = 0; round < 200; round += 1) {
    const members = Array.from({ length: 1 + pick(40) }, () =>
      member(new Date(NOW.getTime() - pick(400 * 24 * 3600) * 1000).toISOString(), {
        status: pick(5) === 0 ? 'partial' : 'completed',
        damaged: pick(6) === 0,
        scheduleId: [null, 'a', 'b', 'gone'][pick(4)] ?? null,
        retentionUntil: [null, OVER.retentionUntil, LASTING.retentionUntil][pick(3)] ?? null,
      }),
    );
    const policy: RetentionPolicy = { keep_daily: 1 + pick(9), keep_monthly: 1 + pick(6) };
    const schedules = [
      ofSchedule('a', { keep_weekly: 1 + pick(4) }),
      ofSchedule('b', { keep_last: 1 + pick(3) }),
    ];
    const scheduled = evaluateSeries(members, [by(policy), ...schedules], NOW);
    const found = evaluateSeries(members, [by(policy)], NOW);
    const more = evaluateSeries(members, [by({ ...policy, keep_daily: 20, days: 30 })], NOW);
    const two = evaluateSeries(members, [by(policy), by({ keep_last: 3 }, 'destination')], NOW);
    const turned = evaluateSeries([...members].reverse(), [by(policy)], NOW);
    const stays = (reasons: Map<string, Reason[]>) =>
      members.filter(({ id }) => (reasons.get(id)?.length ?? 0) > 0);
    const context = { seed, round };
    expect({ ...context, more: stays(more) }).toMatchObject({ more: expect.arrayContaining(stays(found)) });
    expect({ ...context, two: stays(two) }).toMatchObject({ two: expect.arrayContaining(stays(found)) });
    expect({ ...context, turned: stays(turned) }).toEqual({ ...context, turned: stays(found) });
    const sound = members.filter(({ status, damaged }) => status === 'completed' && !damaged);
    if (sound.length > 0)
      expect({ ...context, some: stays(found).some((one) => sound.includes(one)) }).toEqual({
        ...context,
        some: true,
      });
    // One run after another removes nothing more: what is kept does not hang on what goes.
    const later = evaluateSeries(stays(scheduled), [by(policy), ...schedules], NOW);
    expect({ ...context, later: stays(later) }).toEqual({ ...context, later: stays(scheduled) });
    if (sound.length > 0) expect(stays(scheduled).some((one) => sound.includes(one))).toBe(true);
    // Nobody's policy takes away what is kept of another's backups.
    for (const group of ['a', 'b', null]) {
      const own = members.filter(({ scheduleId }) => (scheduleId === 'gone' ? null : scheduleId) === group);
      const alone = evaluateSeries(own, [by(policy), ...schedules], NOW);
      const ruled = (from: Map<string, Reason[]>, id: string) =>
        from.get(id)?.filter(({ rule }) => rule !== 'keep_newest');
      for (const { id } of own) expect(ruled(scheduled, id)).toEqual(ruled(alone, id));
    }
    const again = evaluateSeries(stays(found), [by(policy)], NOW);
    expect({ ...context, again: stays(again) }).toEqual({ ...context, again: stays(found) });
  }
});

test('what was there before a restore does not take the place of what was restored', () => {
  const emergency = (at: string) => member(at, { occasion: 'emergency' });
  const members = [
    member('2026-11-18T00:00:00Z'),
    member('2026-11-19T00:00:00Z'),
    emergency('2026-11-19T06:00:00Z'),
  ];
  expect(kept(members, by({ keep_last: 1 }))).toEqual([[], ['keep_last', 'keep_newest'], []]);
  expect(kept(members, by({ keep_daily: 1, days: 1 }))[2]).toEqual([]);
  expect(kept(members, by({ days: 2 }))[2]).toEqual(['days']);
  // Alone it is all that there is.
  expect(kept([emergency('2026-11-01T00:00:00Z')], by({ keep_last: 1 }))).toEqual([
    ['keep_last', 'keep_newest'],
  ]);
});
