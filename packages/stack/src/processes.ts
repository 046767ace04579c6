import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../../..');
/** Nothing of the starter's own environment reaches the apps by accident. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const KILL_AFTER_MS = 45_000;

export interface Process {
  name: string;
  child: ChildProcess;
  /** The last lines of its log. */
  log(): string;
  /** SIGTERM, and SIGKILL when that does not end it; resolves when it has ended. Safe to call twice. */
  stop(): Promise<void>;
}

export interface ProcessOptions {
  name: string;
  /** `apps/api` or `apps/worker`. */
  app: string;
  env: Record<string, string>;
  onLine?: (line: string) => void;
}

/** Starts one of the apps as a process of its own; resolves with what it says of itself once it is ready. */
export async function startProcess(
  options: ProcessOptions,
): Promise<{ process: Process; ready: Record<string, unknown> }> {
  // Made by `pnpm generate`, which every command that starts an app runs first.
  const main = join(ROOT, options.app, 'dist/main.mjs');
  const child = spawn(process.execPath, ['--enable-source-maps', main], {
    cwd: ROOT,
    env: { PATH, HOME: homedir(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A group of its own: Ctrl-C in a terminal reaches the starter alone, which stops everything in order.
    detached: true,
  });
  const lines: string[] = [];
  let onReady: (fields: Record<string, unknown>) => void = () => {};
  const ready = new Promise<Record<string, unknown>>((resolve) => {
    onReady = resolve;
  });
  // Told by a message, for a log level may hide any line.
  child.on('message', (message) => onReady(message as Record<string, unknown>));
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > 500) lines.shift();
      options.onLine?.(line);
    });
  }
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(
        new Error(`${options.name} ended (${signal ?? code}) before it was ready:\n${lines.join('\n')}`),
      ),
    );
  });
  const handle: Process = {
    name: options.name,
    child,
    log: () => lines.join('\n'),
    stop: () => stopProcess(child),
  };
  try {
    const fields = await Promise.race([ready, ended]);
    ended.catch(() => undefined);
    return { process: handle, ready: fields };
  } catch (error) {
    await handle.stop();
    throw error;
  }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = new AbortController();
  const late = sleep(KILL_AFTER_MS, 'late', { signal: timer.signal }).catch(() => 'in time');
  if ((await Promise.race([exited.then(() => 'ended'), late])) === 'late') child.kill('SIGKILL');
  await exited;
  timer.abort();
}
