import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(__dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test.each(['apps/api/src/env.ts', 'apps/worker/src/env.ts', 'packages/stack/src/env.ts'])(
  'docs/configuration.md names every variable of %s',
  (path) => {
    const names = [...read(path).matchAll(/^ {2}([A-Z][A-Z0-9_]+): Type\./gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(3);
    const page = read('docs/configuration.md');
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  },
);
