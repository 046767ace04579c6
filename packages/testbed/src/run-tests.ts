// `pnpm test [jest arguments]`: starts the real servers that tests share, runs jest, stops them.
// Their addresses reach the tests in TEST_* variables (see `servers.ts`); each test makes its own database.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tarfleet/stack';
import { startRedis } from './redis.ts';
import { requireTools } from './tools.ts';

async function main(): Promise<number> {
  await requireTools(['redis-server', 'sshd', 'ssh-keygen', 'sudo', 'setfacl', 'setfattr']);
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-test-'));
  await chmod(dir, 0o755);
  const postgres = await startPostgres({ dir: join(dir, 'postgres'), unsafeFast: true });
  const redis = await startRedis();
  const report = join(dir, 'report.json');
  try {
    const jest = spawn(
      process.execPath,
      [
        ...['--no-warnings', join(import.meta.dirname, '../../../node_modules/jest/bin/jest.js')],
        ...['--json', `--outputFile=${report}`, ...process.argv.slice(2)],
      ],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...process.env,
          TEST_POSTGRES_URL: postgres.url('postgres'),
          TEST_REDIS_URL: redis.url(),
        },
      },
    );
    const [code] = (await once(jest, 'exit')) as [number | null];
    const counts = JSON.parse(await readFile(report, 'utf8').catch(() => '{}')) as Counts;
    const passed = counts.numPassedTests ?? 0;
    const failed = (counts.numFailedTests ?? 0) + (counts.numRuntimeErrorTestSuites ?? 0);
    const skipped = (counts.numPendingTests ?? 0) + (counts.numTodoTests ?? 0);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    if (skipped > 0) process.stdout.write('A skipped test counts as a failure here.\n');
    return code === 0 && failed === 0 && passed > 0 && skipped === 0 ? 0 : 1;
  } finally {
    await redis.stop();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

interface Counts {
  numPassedTests?: number;
  numFailedTests?: number;
  numPendingTests?: number;
  numTodoTests?: number;
  numRuntimeErrorTestSuites?: number;
}

process.exitCode = await main();
