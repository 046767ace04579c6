import { mergeJoin } from '@tarfleet/archive';
import type { SourceWarning } from '../../types.ts';
import { readDecision } from '../capture/decisions.ts';
import { type Facts, parseFacts } from '../capture/facts.ts';
import type { Lists } from '../capture/lists.ts';
import type { PathRecord } from '../capture/merge-runs.ts';
import type { PathSorter } from '../capture/path-sorter.ts';
import { nulPairs } from '../nul-records.ts';
import { show } from '../paths.ts';

/**
 * bsdtar says nothing of a file that changes under it, and not always which one it could not read: what is there
 * once it has ended is compared with what the scan saw. Each name that was to be read and is not in the archive is
 * a warning, and so is each file that is not what it was. Gives how many were missing.
 */
export async function lookAgain(
  { decided, read }: Pick<Lists, 'decided' | 'read'>,
  after: PathSorter,
  warn: (warning: SourceWarning) => void,
): Promise<number> {
  const key = { left: ([path]: [Buffer, Buffer]) => path, right: ([path]: [Buffer, Buffer]) => path };
  const wanted = mergeJoin(nulPairs(await decided.read()), nulPairs(await read.read()), key);
  const all = mergeJoin(wanted, after.sorted(), {
    left: ({ left, right }) => (left ?? right)?.[0] ?? Buffer.alloc(0),
    right: ({ path }) => path,
  });
  let missing = 0;
  const look = (path: Buffer, note: Buffer, read: Buffer | null, now: PathRecord | null): void => {
    const decision = readDecision(path, note);
    if (!('facts' in decision)) return;
    const there = now && parseFacts(now.facts);
    if (!read) {
      missing += 1;
      warn(there ? unreadable(path) : vanished(path));
    } else if (decision.facts.type === 'f') {
      const { size } = JSON.parse(read.toString()) as { size: number };
      const code = changeOf(decision.facts, there, size);
      if (code) warn({ code, message: `${show(path)} ${MEANS[code]}.`, path });
    }
  };
  for await (const batch of all) {
    for (const { left: pair, right: now } of batch) {
      if (pair?.left) look(...pair.left, pair.right?.[1] ?? null, now);
    }
  }
  return missing;
}

const MEANS = {
  FILE_CHANGED: 'changed while the backup ran; what the backup holds of it may be of several moments',
  FILE_SHRANK: 'became shorter while the backup ran; its end may be filled with zeros in the backup',
};

function changeOf(before: Facts, after: Facts | null, read: number): keyof typeof MEANS | null {
  if (after?.type !== 'f') return 'FILE_CHANGED';
  if (after.size < Math.max(before.size, read)) return 'FILE_SHRANK';
  const same = (['size', 'mtime', 'ctime', 'inode'] as const).every((fact) => before[fact] === after[fact]);
  return same ? null : 'FILE_CHANGED';
}

export function vanished(path: Buffer): SourceWarning {
  const message = `${show(path)} was removed before it was read; the backup does not hold it.`;
  return { code: 'FILE_VANISHED', message, path };
}

export function unreadable(path: Buffer, because = ''): SourceWarning {
  const why = because === '' ? '' : ` (${because})`;
  const message = `${show(path)} could not be read; the backup does not hold it${why}.`;
  return { code: 'FILE_UNREADABLE', message, path };
}
