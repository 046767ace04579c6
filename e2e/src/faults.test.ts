// A sample of `pnpm faults restore` that has every step and every fault once, another one each time: FAULTS_SEED
// repeats one.
import { expect, test } from '@jest/globals';
import { runCommand } from './stack-command.ts';

test('whatever breaks at whatever step, a restore leaves everything old or everything new', async () => {
  const { FAULTS_SEED: seed = String(Date.now() % 1_000_000) } = process.env;
  const faults = [process.execPath, '--import', 'tsx', 'e2e/src/faults/main.ts', 'restore'];
  const command = runCommand([...faults, '--sample', '--seed', seed], {});
  const { code } = await command.ended;
  process.stderr.write(command.output());
  expect({ code, output: code === 0 ? '' : command.output() }).toEqual({ code: 0, output: '' });
}, 900_000);
