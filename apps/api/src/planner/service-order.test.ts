import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Ordered, orderServices, withDependents } from './service-order.ts';

const service = (name: string, dependsOn: string[] = [], backupPriority = 0): Ordered => ({
  name,
  dependsOn,
  backupPriority,
});
const names = (waves: Ordered[][]) => waves.map((wave) => wave.map(({ name }) => name));

test('what is depended on starts first, stops last, and what is independent goes side by side', () => {
  const all = [
    service('nginx', ['app', 'static']),
    service('app', ['db', 'redis']),
    service('static'),
    service('redis', [], 5),
    service('db', [], 10),
  ];
  const { start, stop } = orderServices(all, all);
  expect(names(start)).toEqual([['db', 'redis', 'static'], ['app'], ['nginx']]);
  expect(names(stop)).toEqual([['nginx'], ['app'], ['static', 'redis', 'db']]);
});

test('a dependency through a service that is not chosen counts', () => {
  const all = [service('web', ['app'], 9), service('app', ['db']), service('db')];
  const chosen = all.filter(({ name }) => name !== 'app');
  expect(names(orderServices(all, chosen).start)).toEqual([['db'], ['web']]);
  expect(names(orderServices(all, []).start)).toEqual([]);
});

test('a circle is named, and a name that nobody has counts for nothing', () => {
  const all = [service('a', ['b']), service('b', ['c']), service('c', ['b', 'gone'])];
  expect(() => orderServices(all, all)).toThrow(/b -> c -> b/);
  const plain = [service('a', ['gone'])];
  expect(names(orderServices(plain, plain).start)).toEqual([['a']]);
});

test('all that depends on a service is found, through others too', () => {
  const all = [service('web', ['app']), service('app', ['db']), service('db'), service('mail')];
  expect(withDependents(all, ['db']).map(({ name }) => name)).toEqual(['web', 'app', 'db']);
  expect(withDependents(all, ['web']).map(({ name }) => name)).toEqual(['web']);
  expect(withDependents(all, [])).toEqual([]);
});

/** Services without a circle (each depends on later ones alone), shuffled, some of them chosen. */
const worlds = fc
  .integer({ min: 0, max: 12 })
  .chain((count) =>
    fc.record({
      links: fc.array(fc.array(fc.nat({ max: 11 }), { maxLength: 4 }), {
        minLength: count,
        maxLength: count,
      }),
      priorities: fc.array(fc.nat({ max: 3 }), { minLength: count, maxLength: count }),
      chosen: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
      shuffle: fc.shuffledSubarray([...Array(count).keys()], { minLength: count, maxLength: count }),
    }),
  )
  .map(({ links, priorities, chosen, shuffle }) => {
    const made = links.map((to, i) =>
      service(
        `s${i}`,
        [...new Set(to)].filter((j) => j > i && j < links.length).map((j) => `s${j}`),
        priorities[i],
      ),
    );
    const all = shuffle.map((i) => made[i] as Ordered);
    return { all, chosen: all.filter(({ name }) => chosen[Number(name.slice(1))]) };
  });

function reaches(all: Ordered[], from: string, to: string): boolean {
  const next = all.find(({ name }) => name === from)?.dependsOn ?? [];
  return next.some((one) => one === to || reaches(all, one, to));
}

test('property: each chosen service once, after all it depends on, and no later than it must be', () => {
  fc.assert(
    fc.property(worlds, ({ all, chosen }) => {
      const { start, stop } = orderServices(all, chosen);
      expect(names(start).flat().sort()).toEqual(chosen.map(({ name }) => name).sort());
      expect(start.every((wave) => wave.length > 0)).toBe(true);
      const waveOf = new Map(start.flatMap((wave, i) => wave.map(({ name }) => [name, i] as const)));
      for (const one of chosen) {
        const below = chosen.filter(({ name }) => reaches(all, one.name, name));
        const earliest = Math.max(-1, ...below.map(({ name }) => waveOf.get(name) ?? -1)) + 1;
        expect(waveOf.get(one.name)).toBe(earliest);
      }
      expect(stop).toEqual(start.map((wave) => [...wave].reverse()).reverse());
      for (const wave of start) {
        const priorities = wave.map(({ backupPriority }) => backupPriority);
        expect(priorities).toEqual([...priorities].sort((a, b) => b - a));
      }
    }),
  );
});

test('property: the order does not depend on how the services are listed', () => {
  fc.assert(
    fc.property(worlds, ({ all, chosen }) => {
      const again = orderServices([...all].reverse(), [...chosen].reverse());
      expect(again).toEqual(orderServices(all, chosen));
    }),
  );
});

test('property: dependents are exactly those from whom a way leads there', () => {
  fc.assert(
    fc.property(worlds, ({ all, chosen }) => {
      const wanted = chosen.map(({ name }) => name);
      const found = withDependents(all, wanted).map(({ name }) => name);
      const expected = all
        .map(({ name }) => name)
        .filter((name) => wanted.includes(name) || wanted.some((to) => reaches(all, name, to)));
      expect(found).toEqual(expected);
    }),
  );
});
