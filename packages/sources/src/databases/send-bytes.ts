import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@tarfleet/kernel';
import { exitOf, withItsEnd } from '../files/program-end.ts';
import { createTail, readLines } from '../files/read-lines.ts';
import type { RestoreContext } from '../types.ts';

/**
 * Feeds a command on the server, and tells how much that was. COMMAND_FAILED with the command's words when it failed; the
 * source's own error when that did.
 */
export async function sendBytes(
  { session, signal }: Pick<RestoreContext, 'session' | 'signal'>,
  argv: readonly string[],
  source: AsyncIterable<Buffer>,
): Promise<{ parts: number; bytes: number }> {
  let [parts, bytes] = [0, 0];
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const part of source) {
      parts += 1;
      bytes += part.length;
      yield part;
    }
  }
  const command = await session.exec(argv, { signal });
  command.stdout.resume();
  const tail = createTail();
  const told = exitOf(command, signal, readLines(command.stderr, tail.add)).then(({ code }) => {
    if (code !== 0)
      throw new AppError('COMMAND_FAILED', `The file could not be written on the server: ${tail.text()}`);
  });
  await withItsEnd(told, pipeline(Readable.from(counted()), command.stdin));
  return { parts, bytes };
}
