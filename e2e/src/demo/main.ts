// `pnpm demo`: the main job on real files, from an empty folder to a compared restore. Ends by itself; the exit code
// is 0 only when every step really worked.
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tarfleet/kernel';
import { startStack } from '@tarfleet/stack';
import { signIn } from '../client.ts';
import { runStory } from './story.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const opened: { stop(): Promise<void> }[] = [];

async function closeAll(): Promise<void> {
  for (const one of opened.splice(0).reverse()) await one.stop();
}

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-demo-'));
  opened.push({ stop: () => rm(dir, { recursive: true, force: true }) });
  await chmod(dir, 0o755);
  const home = join(dir, 'server');
  await mkdir(home, { mode: 0o700 });
  say('Tarfleet demo\n\n1. Starting the stack: Postgres, API, one worker');
  const password = 'demo-password';
  const logs: string[] = [];
  const stack = await startStack({
    dir: join(dir, 'stack'),
    logger: createLogger({ level: 'silent', process: 'demo' }),
    port: 0,
    adminEmail: 'demo@localhost',
    adminPassword: password,
    localRoots: [home],
    workers: 1,
    onLine: (name, line) => {
      logs.push(`${name} ${line}`);
      if (logs.length > 200) logs.shift();
    },
  });
  opened.push(stack);
  say(`   API at ${stack.url}`);
  const client = await signIn(stack.url, stack.adminEmail, password);
  try {
    const died = stack.failed.then((name) => {
      throw new Error(`${name} ended by itself.`);
    });
    await Promise.race([runStory({ client, dir, home, say, opened }), died]);
  } catch (error) {
    say(`\nThe last lines of the logs:\n${logs.slice(-30).join('\n')}`);
    throw error;
  }
}

let code = 1;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    say('\nInterrupted: stopping everything.');
    void closeAll().finally(() => process.exit(130));
  });
}
try {
  await main();
  code = 0;
} catch (error) {
  process.stderr.write(`\nThe demo failed: ${(error as Error).stack ?? String(error)}\n`);
} finally {
  await closeAll().catch((error: unknown) => {
    process.stderr.write(`Cleaning up failed: ${String(error)}\n`);
    code = 1;
  });
}
say(code === 0 ? '\nEverything worked.' : '\nSomething did not work.');
process.exit(code);
