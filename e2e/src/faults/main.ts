// `pnpm faults restore [--cells step:fault,...] [--sample] [--seed N]`: breaks restores in every way at every step, and
// looks at what is left. The exit code is 0 only when no cell is wrong. Needs root: it mounts small file systems, in a
// namespace of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { runFaults } from './run-faults.ts';

const INSIDE = 'TARFLEET_FAULTS_INSIDE';

async function inOwnNamespace(): Promise<number> {
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } },
  );
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => void child.kill(name));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

process.exit(process.env[INSIDE] ? await runFaults(process.argv.slice(2)) : await inOwnNamespace());
