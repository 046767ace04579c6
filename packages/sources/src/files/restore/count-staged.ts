import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { createLinkCounter } from '../hard-links.ts';
import { nulRecords } from '../nul-records.ts';
import { exitOf } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';
import { ENTER_STAGE, type Stage, stageWords, TREE } from './stage.ts';

export interface StagedCount {
  /** All but folders. */
  files: number;
  /** Of regular files. */
  bytes: number;
}

/**
 * Counts what lies in the stage. A content with several names counts once: with its first, or, when `complete`,
 * only if all of its names are there.
 */
export async function countStaged(
  session: Session,
  stage: Stage,
  signal: AbortSignal,
  complete = false,
): Promise<StagedCount> {
  const script = `${ENTER_STAGE}set --\nfor folder in ./${TREE} ./new; do [ ! -d "$folder" ] || set -- "$@" "$folder"; done\n[ $# -gt 0 ] || exit 0\nexec find "$@" ! -type d -printf '%y %n %D:%i %s\\0'`;
  const find = await session.exec(['sh', '-c', script, 'sh', ...stageWords(stage)], { signal });
  find.stdin.end();
  const count: StagedCount = { files: 0, bytes: 0 };
  const links = createLinkCounter();
  const tail = createTail();
  const read = async (): Promise<void> => {
    for await (const records of nulRecords(find.stdout)) {
      for (const record of records) {
        const [type, names, id = '', size] = record.toString('latin1').split(' ');
        count.files += 1;
        if (type !== 'f') continue;
        const counts = complete ? links.last(id, Number(names)) : links.first(id, Number(names));
        if (counts) count.bytes += Number(size);
      }
    }
  };
  const exit = await exitOf(find, signal, read(), readLines(find.stderr, tail.add));
  if (exit.code === 0) return count;
  throw new AppError('COMMAND_FAILED', `find failed on the server (${exit.code}): ${tail.text()}`);
}
