// A worker in a process of its own, for tests that kill or freeze it:
// `testing-worker.ts <url> <pool> <lockMs>`. Prints a JSON line for each thing that happens to its one job.
import { setTimeout as sleep } from 'node:timers/promises';
import { type AppError, createLogger } from '@tarfleet/kernel';
import { createQueueWorker } from './index.ts';
import { FAST } from './testing-settings.ts';

const [url = '', pool = '', lockMs = ''] = process.argv.slice(2);
const say = (facts: object): void => void process.stdout.write(`${JSON.stringify(facts)}\n`);
const worker = await createQueueWorker({
  url,
  logger: createLogger({ level: 'silent', process: 'test' }),
  settings: { ...FAST, lockMs: Number(lockMs) },
});
await worker.consume({
  pool,
  kind: 'artifact',
  concurrency: 2,
  async handler(delivery) {
    const { attempt, token, signal } = delivery;
    signal.addEventListener('abort', () => say({ aborted: (signal.reason as AppError).code, attempt }));
    await delivery.assertOwned();
    say({ started: attempt, token });
    for (;;) {
      const before = Date.now();
      await sleep(100);
      if (Date.now() - before < 1_000) continue;
      // Was frozen. The first thing that a worker does before anything that cannot be undone:
      const owned = await delivery.assertOwned().then(
        () => 'owned',
        (error: AppError) => error.code,
      );
      say({ woke: owned, attempt });
      if (owned !== 'owned') return `a result of attempt ${attempt} that must not be recorded`;
    }
  },
});
say({ ready: true });
process.stdin.on('end', () => process.exit(0)).resume();
