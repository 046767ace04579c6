import type { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { nulRecords } from '../nul-records.ts';
import { exitOf } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';
import { MERGE_SCRIPT } from './merge-script.ts';
import { serverFault } from './server-words.ts';
import { type Stage, stageWords, TREE } from './stage.ts';

const ATTRIBUTES = /^(cp|touch): (preserving|setting|failed to preserve|failed to set|cannot set) .*$/;

/** A staged root and its place: the nearest folder above it that was there, and the rest. */
export interface MergedRoot {
  /** From the stage. */
  path: Buffer;
  anchor: Buffer;
  rest: Buffer;
  /** A file in the stage for notes of what is added; null: none are taken. */
  notes: string | null;
}

/** Moves what is staged to where it belongs. What cannot be moved does not keep the rest from it, but is an error. */
export async function merge(options: {
  session: Session;
  stage: Stage;
  roots: readonly MergedRoot[];
  overwrite: boolean;
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
}): Promise<void> {
  const { session, stage, overwrite, signal, warn } = options;
  const roots = options.roots.flatMap(({ path, anchor, rest, notes }) => [path, anchor, rest, notes ?? '']);
  const command = await session.exec(
    ['sh', '-c', MERGE_SCRIPT, 'sh', ...stageWords(stage), overwrite ? '1' : '0', ...roots],
    { signal },
  );
  command.stdin.end();
  const tail = createTail();
  let faults = 0;
  const exit = await exitOf(
    command,
    signal,
    readReplaced(command.stdout, warn),
    readLines(command.stderr, (line) => {
      if (ATTRIBUTES.test(line)) {
        warn({
          code: 'ATTRIBUTES_NOT_RESTORED',
          message: `The server said: ${Buffer.from(line.slice(0, 500), 'latin1').toString()}`,
        });
        return;
      }
      faults += 1;
      tail.add(line.replaceAll('/proc/self/fd/9', 'stage'));
    }),
  );
  if (faults > 0) throw serverFault('Not everything could be put in its place', tail.text());
  if (exit.code !== 0) {
    throw new AppError('COMMAND_FAILED', `The restore stopped on the server (${exit.signal ?? exit.code}).`);
  }
}

/** The script prints each folder that had to go, with a NUL behind it. */
async function readReplaced(stdout: Readable, warn: (warning: SourceWarning) => void): Promise<void> {
  for await (const paths of nulRecords(stdout)) {
    for (const path of paths) {
      warn({
        code: 'FOLDER_REPLACED',
        message: `${path.toString()} was a folder where the backup has none: it was removed with all that was in it.`,
        path: Buffer.from(path),
      });
    }
  }
}

/** Where tar puts a root in the stage. */
export function inTree(staged: Buffer): Buffer {
  return staged.equals(Buffer.from('.'))
    ? Buffer.from(TREE)
    : Buffer.concat([Buffer.from(`${TREE}/`), staged]);
}
