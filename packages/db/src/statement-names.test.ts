import { expect, test } from '@jest/globals';
import { createStatementNames } from './statement-names.ts';

test('a text gets a name of its own when it comes again, and keeps it', () => {
  const nameOf = createStatementNames();
  const names = (sql: string): string[] => Array.from({ length: 4 }, () => nameOf({ sql }));
  const [first, second, third, fourth] = names('SELECT 1');
  expect([first, second]).toEqual(['', '']);
  expect(third).toMatch(/^tarfleet_/);
  expect(fourth).toBe(third);
  expect(names('SELECT 2').at(-1)).not.toBe(third);
});

test('no more texts get a name than a connection may keep', () => {
  const nameOf = createStatementNames();
  const names = new Set<string>();
  for (let count = 0; count < 1_000; count += 1) {
    for (let time = 0; time < 4; time += 1) names.add(nameOf({ sql: `SELECT ${count}` }));
  }
  expect(names.size).toBe(201);
});
