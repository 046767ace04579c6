import type { Readable, Writable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { exitOf, wasKilled } from '../files/program-end.ts';
import { createTail, readLines } from '../files/read-lines.ts';
import { NOT_ARRIVED, NOT_PUT_DOWN, TOOL_SCRIPT } from './tool-script.ts';

/** How a password reaches a tool; see TOOL_SCRIPT. */
export interface ToolSecret {
  how: 'file' | `file:${string}` | `env:${string}`;
  /** What the file or the variable holds. */
  content: string;
  /** What must stand in no message. */
  password: string;
}

export interface ToolCall {
  session: Session;
  signal: AbortSignal;
  /** Who runs it, and where it lies. */
  where: { runAs: string | null; binDir: string | null };
  /** The Debian package of the tool, for the message that it is missing. */
  package: string;
  program: string;
  /** What it is called in messages, where that is something else. */
  called?: string;
  args: readonly string[];
  secret: ToolSecret | null;
  /** A command that runs the whole of it, with the secret's line first on its own input. */
  around?: readonly string[];
  /** Each line that it prints to stderr, without secrets; only the last of them are told when it fails. */
  onLine?(line: string): void;
}

export interface RunningTool {
  /** For the tool's own input; end it, even when there is none. */
  stdin: Writable;
  stdout: Readable;
  /**
   * Rejects unless the tool ended well: with COMMAND_FAILED and its last words, TOOL_MISSING, or the session's errors.
   * Nobody needs to wait for it.
   */
  ended: Promise<void>;
}

const OUTPUT_MAX = 32 * 1024 * 1024;

/** Starts a database's tool on the server. The caller reads or destroys `stdout`. */
export async function startTool(call: ToolCall): Promise<RunningTool> {
  const { session, signal, where, secret, program } = call;
  const path = where.binDir === null ? program : `${where.binDir.replace(/\/+$/, '')}/${program}`;
  const words = [secret?.how ?? 'none', where.runAs ?? ''];
  const script = ['sh', '-c', TOOL_SCRIPT, 'sh', ...words, path, ...call.args];
  const process = await session.exec([...(call.around ?? []), ...script], { signal });
  if (secret) process.stdin.write(`${Buffer.from(secret.content).toString('base64')}\n`);
  const tail = createTail();
  const hide = (text: string): string =>
    secret && secret.password !== '' ? text.replaceAll(secret.password, '[redacted]') : text;
  const heard = readLines(process.stderr, (line) => {
    const text = hide(Buffer.from(line, 'latin1').toString('utf8'));
    tail.add(Buffer.from(text).toString('latin1'));
    call.onLine?.(text);
  });
  const ended = exitOf(process, signal, heard).then((exit) => {
    if (exit.code === 0) return;
    throw failure(call, exit, tail.text());
  });
  ended.catch(() => undefined);
  return { stdin: process.stdin, stdout: process.stdout, ended };
}

/** What a tool prints, as it comes; it ends only when the tool ended well. Left early, it ends the tool. */
export async function* toolOutput(tool: RunningTool): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of tool.stdout as AsyncIterable<Buffer>) yield chunk;
    await tool.ended;
  } finally {
    tool.stdout.destroy();
  }
}

/** Runs a tool that prints little to its end, with this input. */
export async function runTool(call: ToolCall, input = ''): Promise<string> {
  const tool = await startTool(call);
  tool.stdin.end(input);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of toolOutput(tool)) {
    bytes += chunk.length;
    if (bytes > OUTPUT_MAX) {
      throw new AppError('COMMAND_FAILED', `${call.program} printed more than was expected of it.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function failure(
  { where, ...call }: ToolCall,
  exit: { code: number | null; signal: string | null },
  words: string,
): AppError {
  const program = call.called ?? call.program;
  if (exit.code === 127 || exit.code === 126) {
    const folder = where.binDir === null ? '' : ` in ${where.binDir}`;
    return new AppError(
      'TOOL_MISSING',
      `The server cannot run ${program}${folder} (package ${call.package}). Install it there. It said: ${words}`,
    );
  }
  if (exit.code === NOT_ARRIVED || exit.code === NOT_PUT_DOWN) {
    return new AppError(
      'COMMAND_FAILED',
      `The password could not be handed to ${program} on the server, which needs base64, mktemp and a temporary folder: ${words}`,
      { retryable: exit.code === NOT_ARRIVED },
    );
  }
  return new AppError(
    'COMMAND_FAILED',
    `${program} failed on the server (${exit.signal ?? `exit code ${exit.code}`}): ${words}`,
    { retryable: wasKilled(exit) },
  );
}
