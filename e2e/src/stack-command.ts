import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../..');
const START_MS = 180_000;

type End = { code: number | null; signal: string | null };

export interface StackCommand {
  pid: number;
  /** What it has written so far, standard output and errors together. */
  output(): string;
  /** What it told when it was ready; throws with its output when it ends before. */
  ready(): Promise<{ url: string; email: string; password: string }>;
  /** Its exit code, when it ends instead of starting; throws with its output when it starts. */
  refused(): Promise<number | null>;
  /** Sends a signal to this process alone. */
  kill(signal: NodeJS.Signals): void;
  /** As Ctrl-C in a terminal: to the whole process group. */
  interrupt(): void;
  ended: Promise<End>;
}

/** The program behind `pnpm start`, as the root's package.json has it, without the package manager around it. */
export async function startCommand(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const last: string = scripts.start.split('&&').at(-1);
  return last.trim().split(' ');
}

/** Runs a command of this repository with nothing of our own environment but what finds programs. */
export function runCommand([program = '', ...args]: string[], env: Record<string, string>): StackCommand {
  const own = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/' };
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...own, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as a terminal gives one.
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  let end: End | undefined;
  const ended = once(child, 'close').then(([code, signal]) => {
    end = { code, signal };
    return end;
  });
  const pid = child.pid ?? 0;
  const settled = async (): Promise<'ready' | End> => {
    for (const until = Date.now() + START_MS; Date.now() < until; await sleep(50)) {
      if (/^ {2}Password /m.test(output)) return 'ready';
      if (end) return end;
    }
    throw new Error(`It neither started nor ended:\n${output}`);
  };
  return {
    pid,
    output: () => output,
    async ready() {
      if ((await settled()) !== 'ready') throw new Error(`It ended:\n${output}`);
      const said = (name: string): string => new RegExp(`^ {2}${name} +(.+)$`, 'm').exec(output)?.[1] ?? '';
      return { url: said('URL'), email: said('E-mail'), password: said('Password') };
    },
    async refused() {
      const outcome = await settled();
      if (outcome === 'ready') throw new Error(`It started:\n${output}`);
      return outcome.code;
    },
    kill: (signal) => void child.kill(signal),
    interrupt: () => void process.kill(-pid, 'SIGINT'),
    ended,
  };
}

/** Every process that was started on a data folder, whoever is its parent by now: the stack, API, workers, Postgres. */
export async function processesOn(dir: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const read = (file: string): Promise<string> =>
      // It may end at any moment.
      readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '');
    const command = (await read('cmdline')).replaceAll('\0', ' ');
    if (command.includes(dir) || (await read('environ')).includes(dir)) {
      found.push({ pid: Number(name), command });
    }
  }
  return found;
}

/** Ids of the processes of a group that still run. */
export async function processesOfGroup(group: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; its parent has only not asked for its end yet.
    if (Number(pgrp) === group && state !== 'Z') found.push(Number(name));
  }
  return found;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('A TCP server has a port');
  return address.port;
}
