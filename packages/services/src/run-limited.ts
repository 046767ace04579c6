import { finished } from 'node:stream/promises';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { lastWords } from './said.ts';

export interface CommandEnd {
  /** Null when a signal or the time limit ended it. */
  code: number | null;
  timedOut: boolean;
  stdout: string;
  /** What it said last, on both outputs. */
  words: string;
  /** How it ended, for a message: `exited with code 1`. */
  how: string;
}

export interface LimitOptions {
  session: Session;
  signal: AbortSignal;
  /** After which it is ended, with all that it started in its process group. */
  seconds: number;
}

/** Of each output; what is more is thrown away. */
const KEPT_BYTES = 256 * 1024;

/**
 * Runs a command to its end, or to its time limit, and keeps what it said in both cases. A missing program is exit
 * code 127. Errors: the session's, or the signal's reason.
 */
export async function runLimited(
  argv: readonly string[],
  { session, signal, seconds }: LimitOptions,
): Promise<CommandEnd> {
  const limit = new AbortController();
  const tooLong = new AppError('COMMAND_FAILED', `The command took longer than ${seconds} s.`);
  const timer = setTimeout(() => limit.abort(tooLong), seconds * 1000);
  const stdout = createKeeper();
  const both = createKeeper();
  try {
    const command = await session.exec(argv, { signal: AbortSignal.any([signal, limit.signal]) });
    command.stdout.on('data', (chunk: Buffer) => {
      stdout.add(chunk);
      both.add(chunk);
    });
    command.stderr.on('data', (chunk: Buffer) => both.add(chunk));
    command.stdin.end();
    const read = Promise.all([finished(command.stdout), finished(command.stderr)]);
    // `done` comes first: it says what went wrong, and waits until nothing is left on the server.
    read.catch(() => undefined);
    const { code, signal: name } = await command.done;
    await read;
    const how = code === null ? `was ended by ${name ?? 'a signal'}` : `exited with code ${code}`;
    return { code, timedOut: false, stdout: stdout.text(), words: lastWords(both.text()), how };
  } catch (error) {
    if (error !== tooLong || signal.aborted) throw error;
    const how = `did not end within ${seconds} s`;
    return { code: null, timedOut: true, stdout: stdout.text(), words: lastWords(both.text()), how };
  } finally {
    clearTimeout(timer);
  }
}

/** `how` with what it said, where it said something. */
export function endOf({ how, words }: Pick<CommandEnd, 'how' | 'words'>): string {
  return words === '' ? how : `${how}: ${words}`;
}

function createKeeper() {
  let kept: Buffer = Buffer.alloc(0);
  return {
    add(chunk: Buffer): void {
      kept = Buffer.concat([kept, chunk]).subarray(-KEPT_BYTES);
    },
    text: (): string => kept.toString(),
  };
}
