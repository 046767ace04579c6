import {
  type Elsewhere,
  type EncodedRun,
  type EntryEnd,
  encodeRun,
  type IndexEntry,
  type IndexedEntry,
  mergeJoin,
  type TarEntry,
  withLine,
} from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import { nulPairs } from '../nul-records.ts';
import { show } from '../paths.ts';
import { readDecision } from './decisions.ts';
import { type Facts, isDoubtful } from './facts.ts';
import type { EndedEntry } from './pass-tar.ts';
import type { Spill } from './spill.ts';

/** What passed of an entry, as a note for the spill. */
export function noteOf([entry, end, elsewhere]: EndedEntry): [Buffer, Buffer] {
  const { path, linkTarget, ...facts } = entry;
  const note: Note = { ...facts, ...end, link: linkTarget?.toString('base64') ?? null };
  if (elsewhere) note.elsewhere = { ...elsewhere, as: elsewhere.as.toString('base64') };
  return [Buffer.concat([SLASH, trimmed(path)]), Buffer.from(JSON.stringify(note))];
}

interface Note extends Omit<TarEntry, 'path' | 'linkTarget'>, EntryEnd {
  link: string | null;
  elsewhere?: Omit<Elsewhere, 'as'> & { as: string };
}

/**
 * The index: what the earlier backup keeps, and of what was to be read whatever tar read. `clock` is the server's
 * time right before the scan, in seconds. COMMAND_FAILED when the archive has what nobody asked for.
 */
export async function* buildIndex(decided: Spill, read: Spill, clock: number): AsyncGenerator<EncodedRun> {
  const both = mergeJoin(nulPairs(await decided.read()), nulPairs(await read.read()), {
    left: ([path]) => path,
    right: ([path]) => path,
  });
  let own: IndexedEntry[] = [];
  for await (const pairs of both) {
    for (const { left, right } of pairs) {
      const path = (left ?? right)?.[0] ?? SLASH;
      const decision = left && readDecision(left[0], left[1]);
      if (decision && 'kept' in decision && !right) {
        if (own.length > 0) yield encodeRun(own);
        own = [];
        yield decision.kept;
      } else if (decision && 'facts' in decision) {
        // What tar could not read it has named in a warning; the next incremental tries again.
        if (!right) continue;
        const note = JSON.parse(right[1].toString()) as Note;
        own.push(withLine(toEntry(path, decision.facts, note, clock)));
      } else {
        throw new AppError('COMMAND_FAILED', `tar wrote ${show(path)}, which it was not asked for.`);
      }
    }
    if (own.length > 0) yield encodeRun(own);
    own = [];
  }
}

function toEntry(path: Buffer, facts: Facts, note: Note, clock: number): IndexEntry {
  const linkTarget = note.link === null ? null : Buffer.from(note.link, 'base64');
  const entry: TarEntry = { ...note, path, linkTarget };
  const again = isDoubtful(facts, entry, clock);
  const as = note.elsewhere ? Buffer.from(note.elsewhere.as, 'base64') : null;
  const sameTime = Math.abs(note.mtime - Number(facts.mtime)) <= 1e-5;
  return {
    path,
    type: note.type,
    // A further name of a content has the content's size, though tar stores none of it.
    size: note.type === 'hardlink' ? facts.size : note.size,
    ...{ mode: note.mode, uid: note.uid, gid: note.gid },
    // Never with an exponent.
    mtime: sameTime ? facts.mtime : note.mtime.toFixed(9),
    ctime: facts.ctime,
    inode: facts.inode,
    linkTarget,
    ...{ sha256: note.sha256, xattrs: note.xattrs, again },
    // What moved back has its own name again.
    as: as?.equals(path) ? null : as,
    at: note.elsewhere?.at ?? { archive: 0, offset: note.offset, bytes: note.bytes },
    copy: note.elsewhere?.copy ?? null,
  };
}

const SLASH = Buffer.from('/');

/** As the scan has it: tar's folders end in a slash. */
function trimmed(path: Buffer): Buffer {
  return path.length > 1 && path[path.length - 1] === 0x2f ? path.subarray(0, -1) : path;
}
