import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess } from '@tarfleet/transport';
import { wasKilled } from './program-end.ts';
import { createTail, readLines } from './read-lines.ts';
import { unquote } from './unquote.ts';

/** find's complaint about one path, in the C locale: `find: '/srv/x\ny': Permission denied`. */
const COMPLAINT = /^find: '(\/.*)': ([^:]+)$/;

/**
 * Waits for the end of a `find`, and hands on what it complains of path by path, in its own words; it goes on after
 * each. COMMAND_FAILED with its last words for anything else. Its output is for somebody else to read.
 */
export async function findEnd(
  process: RemoteProcess,
  complain: (path: Buffer, fault: string) => void,
): Promise<void> {
  const tail = createTail();
  let strange = false;
  const [exit] = await Promise.all([
    process.done,
    readLines(process.stderr, (line) => {
      const [, name, fault] = COMPLAINT.exec(line) ?? [];
      if (name !== undefined && fault !== undefined) return complain(unquote(name), fault);
      tail.add(line);
      strange = true;
    }),
  ]);
  if (exit.code === 0 || (exit.code === 1 && !strange)) return;
  throw new AppError(
    'COMMAND_FAILED',
    `find failed on the server (${exit.signal ?? exit.code}): ${tail.text()}`,
    { retryable: wasKilled(exit) },
  );
}
