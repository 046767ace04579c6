import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

test('nobody limits time by a signal that may be collected before it aborts', () => {
  const pattern = ['AbortSignal', 'timeout\\('].join('\\.');
  const found = spawnSync('git', ['grep', '-lE', pattern, '--', '*.ts', '*.mjs', ':!packages/kernel'], {
    cwd: join(__dirname, '..'),
    encoding: 'utf8',
  });
  // 1: there is none.
  expect([found.stdout, found.stderr, found.status]).toEqual(['', '', 1]);
});
