import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';

export interface RunningAzurite {
  /** With the account's name, as Azurite wants it. */
  endpoint: string;
  account: string;
  accountKey: string;
  stop(): Promise<void>;
}

/**
 * An Azurite (Microsoft's own emulator of Azure's Blob service) on a free loopback port, its blobs on disk: in `folder`,
 * or in one of its own.
 */
export async function startAzurite(folder?: string): Promise<RunningAzurite> {
  const dir = folder ?? (await mkdtemp(join(tmpdir(), 'tarfleet-azurite-')));
  const port = await getPort({ host: '127.0.0.1' });
  const account = 'backups';
  const accountKey = randomBytes(64).toString('base64');
  const installed = dirname(
    createRequire(join(import.meta.dirname, 'azurite.ts')).resolve('azurite/package.json'),
  );
  const child = spawn(
    process.execPath,
    [
      join(installed, 'dist/src/blob/main.js'),
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', dir],
      ...['--silent', '--skipApiVersionCheck', '--disableTelemetry'],
    ],
    {
      env: { PATH: process.env.PATH, AZURITE_ACCOUNTS: `${account}:${accountKey}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    if (folder === undefined) await rm(dir, { recursive: true, force: true });
  };
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (child.exitCode !== null || tries > 1200) {
      await stop();
      throw new Error(`Azurite does not answer on port ${port}: ${said}`);
    }
    await sleep(50);
  }
  return { endpoint: `http://127.0.0.1:${port}/${account}`, account, accountKey, stop };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
