import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { FOR_API, FOR_WORKERS } from '../packages/stack/src/pass-on.ts';

const root = join(__dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const namesOf = (path: string): string[] => {
  const names = [...read(path).matchAll(/^ {2}([A-Z][A-Z0-9_]+): Type\./gm)].map(
    ([, name]) => name as string,
  );
  if (names.length <= 3) throw new Error(`${path} names no variables.`);
  return names;
};

test.each(['apps/api/src/env.ts', 'apps/worker/src/env.ts', 'packages/stack/src/env.ts'])(
  'docs/configuration.md names every variable of %s',
  (path) => {
    const names = namesOf(path);
    const page = read('docs/configuration.md');
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  },
);

// What the stack sets itself, so that nobody's setting is lost without a word.
test.each([
  ['api', FOR_API, ['DATABASE_URL', 'API_KEYS', 'POOLS', 'HOST', 'PORT', 'LOCAL_ALLOWED']],
  ['worker', FOR_WORKERS, ['POOL', 'POOL_KEYS', 'KEYRING']],
])('pnpm start hands on every variable of the %s that it does not set', (app, handedOn, set) => {
  const ours = [...set, 'QUEUE_URL', 'LOG_LEVEL', 'LOCAL_ROOTS'];
  const names = namesOf(`apps/${app}/src/env.ts`);
  expect(names.filter((name) => !ours.includes(name)).sort()).toEqual([...handedOn].sort());
});
