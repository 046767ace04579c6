import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's own folder. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

const children = new Set();
const cleanUps = new Set();

/** Stops what runs and removes what was made, then ends as the signal says. */
export function cleanUpOnSignals() {
  for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
    process.on(signal, () => {
      for (const child of children) child.kill(signal);
      for (const cleanUp of cleanUps) cleanUp();
      process.exit(128 + number);
    });
  }
}

/**
 * Runs `work` and then `cleanUp`, whatever happens; a signal runs `cleanUp` too.
 * `cleanUp` must be synchronous.
 */
export async function withCleanUp(cleanUp, work) {
  cleanUps.add(cleanUp);
  try {
    return await work();
  } finally {
    cleanUps.delete(cleanUp);
    cleanUp();
  }
}

/** Runs a program of node_modules/.bin to its end. */
export async function runTool(name, args, options) {
  const program = join(root, 'node_modules/.bin', name);
  if (!existsSync(program)) throw new Error(`${name} is not installed; run pnpm install first.`);
  return runProgram(program, args, options);
}

/** Gives the exit code (1 where a signal ended it), standard output, and the lines of both streams that say something. */
export async function runProgram(program, args, { cwd = root, env = {} } = {}) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let stdout = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    all += text;
  });
  try {
    const [code, signal] = await once(child, 'close');
    const lines = all.split('\n').filter((line) => line.trim() !== '');
    if (signal) lines.push(`${program} was ended by ${signal}.`);
    return { code: code ?? 1, stdout, lines };
  } finally {
    children.delete(child);
  }
}
