import { finished } from 'node:stream/promises';
import { AppError } from '@tarfleet/kernel';
import type { Argv } from './shell-command.ts';
import type { ExecOptions, RemoteProcess, RunResult } from './types.ts';

type Exec = (argv: Argv, options: ExecOptions) => Promise<RemoteProcess>;

const MAX_OUTPUT_BYTES = 1024 * 1024;
const KEPT_STDERR_BYTES = 64 * 1024;

/** A small command to its end, its output in memory. Over 1 MiB of output it is ended: COMMAND_FAILED. */
export async function runCommand(
  exec: Exec,
  argv: Argv,
  { input, ...options }: ExecOptions & { input?: Buffer },
): Promise<RunResult> {
  const stop = new AbortController();
  const forward = (): void => stop.abort(options.signal.reason);
  options.signal.throwIfAborted();
  options.signal.addEventListener('abort', forward, { once: true });
  try {
    return await collect(await exec(argv, { ...options, signal: stop.signal }), argv, input, stop);
  } finally {
    options.signal.removeEventListener('abort', forward);
  }
}

async function collect(
  command: RemoteProcess,
  argv: Argv,
  input: Buffer | undefined,
  stop: AbortController,
): Promise<RunResult> {
  const stdout: Buffer[] = [];
  let size = 0;
  command.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_OUTPUT_BYTES) stdout.push(chunk);
    else {
      stop.abort(
        new AppError(
          'COMMAND_FAILED',
          `${nameOf(argv)} printed more than the ${MAX_OUTPUT_BYTES} bytes expected of it.`,
        ),
      );
    }
  });
  let stderr: Buffer = Buffer.alloc(0);
  command.stderr.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-KEPT_STDERR_BYTES);
  });
  command.stdin.end(input);
  const read = Promise.all([finished(command.stdout), finished(command.stderr)]);
  // `done` comes first: it says what went wrong, and waits until nothing is left on the server.
  read.catch(() => undefined);
  const exit = await command.done;
  await read;
  return { ...exit, stdout: Buffer.concat(stdout), stderr };
}

function nameOf(argv: Argv): string {
  return String(argv[0] ?? 'A command');
}
