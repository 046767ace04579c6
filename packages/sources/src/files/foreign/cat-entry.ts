import { type NewEntry, tarHeader } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { SourceWarning } from '../../types.ts';
import type { Facts } from '../capture/facts.ts';
import { memberName } from '../paths.ts';
import { cutShort, exactly, otherKind, shrank } from './build-tar.ts';
import { type Framed, wholePart } from './framed.ts';
import { unreadable, vanished } from './look-again.ts';
import type { StatRecord } from './stat-records.ts';

/** Of each content with several names, by device and inode: the first that was read, and how many are to come. */
export type LinkNames = Map<string, { name: Buffer; left: number }>;

/** More are not remembered: then each name has the content. */
const LINKS_MAX = 500_000;
/** What a file may have more than it had at first before its reading is ended, in bytes. */
const GROWTH_MAX = 16 * 1024 * 1024;
const LINK_TARGET_MAX = 64 * 1024;

type Warn = (warning: SourceWarning) => void;

/** `whole`: a content that is to be compared afterwards; `torn`: one that was warned about; `endless`: see above. */
export type Outcome = 'none' | 'whole' | 'torn' | 'endless';

export function linkKey({ type, links, device, inode }: Facts): string | null {
  return type === 'f' && links > 1 ? `${device}:${inode}` : null;
}

/** One entry of the server's output, as tar; `record` is what stat said right before, null when it said nothing. */
export async function* catEntry(
  framed: Framed,
  path: Buffer,
  record: StatRecord | null,
  links: LinkNames,
  { leaveOut, warn }: { leaveOut: Warn; warn: Warn },
): AsyncGenerator<Buffer, Outcome> {
  await wholePart(framed, 0);
  const letter = await framed.letter();
  if (letter === 'l') return yield* linkEntry(framed, path, record, leaveOut);
  if (letter === 'o') return yield* fileEntry(framed, path, record, links, { leaveOut, warn });
  const type = record?.facts.type;
  if (letter === 'm' || record === null) leaveOut(vanished(path));
  else if (letter === 'x') leaveOut(unreadable(path));
  else if (letter === 's') return yield* furtherName(path, record, links, leaveOut);
  else if (letter === 'n' && type === 'd') yield header(record, { type: 'directory' });
  else if (letter === 'n' && type === 'p') yield header(record, { type: 'fifo' });
  else if (letter === 'n' && (type === 'c' || type === 'b')) {
    yield header(record, { type: type === 'c' ? 'character-device' : 'block-device', device: record.device });
  } else if (letter === 'n') leaveOut(otherKind(path));
  else throw new AppError('COMMAND_FAILED', 'The server printed something else than was asked for.');
  return 'none';
}

function header({ path, facts }: StatRecord, more: Pick<NewEntry, 'type'> & Partial<NewEntry>): Buffer {
  const { mode, uid, gid, mtime } = facts;
  const entry = { path: memberName(path), size: 0, mode, uid, gid, mtime, linkTarget: null };
  return tarHeader({ ...entry, ...more } as Parameters<typeof tarHeader>[0]);
}

async function* linkEntry(
  framed: Framed,
  path: Buffer,
  record: StatRecord | null,
  leaveOut: Warn,
): AsyncGenerator<Buffer, Outcome> {
  const printed = await wholePart(framed, LINK_TARGET_MAX);
  await framed.letter();
  // readlink adds a newline, and prints nothing when it fails.
  const target = printed.subarray(0, -1);
  if (record?.facts.type === 'l' && target.length > 0) {
    yield header(record, { type: 'symlink', linkTarget: Buffer.from(target) });
  } else leaveOut(record === null ? vanished(path) : unreadable(path, 'it is being replaced'));
  return 'none';
}

async function* furtherName(
  path: Buffer,
  record: StatRecord,
  links: LinkNames,
  leaveOut: Warn,
): AsyncGenerator<Buffer, Outcome> {
  const key = linkKey(record.facts);
  const first = key === null ? undefined : links.get(key);
  if (first === undefined || key === null) leaveOut(unreadable(path, 'it is being replaced'));
  else {
    yield header(record, { type: 'hardlink', linkTarget: first.name });
    first.left -= 1;
    if (first.left <= 0) links.delete(key);
  }
  return 'none';
}

async function* fileEntry(
  framed: Framed,
  path: Buffer,
  record: StatRecord | null,
  links: LinkNames,
  { leaveOut, warn }: { leaveOut: Warn; warn: Warn },
): AsyncGenerator<Buffer, Outcome> {
  if (record?.facts.type !== 'f') {
    for await (const _rest of framed.part());
    await framed.letter();
    leaveOut(record === null ? vanished(path) : unreadable(path, 'it is being replaced'));
    return 'none';
  }
  const { size } = record.facts;
  yield header(record, { type: 'file', size });
  const key = linkKey(record.facts);
  if (key !== null && links.size < LINKS_MAX) {
    links.set(key, { name: memberName(path), left: record.facts.links - 1 });
  }
  const told = { endless: false };
  const lacking = yield* exactly(bounded(framed, size + GROWTH_MAX, told), size);
  if (told.endless) {
    warn({
      code: 'FILE_CHANGED',
      message: `${path.toString()} went on growing while it was read; the backup holds the length that it had at first.`,
      path,
    });
    return 'endless';
  }
  const letter = await framed.letter();
  if (letter === 'e') warn(cutShort(path, 'reading failed'));
  else if (lacking > 0) warn(shrank(path));
  return letter === 'e' || lacking > 0 ? 'torn' : 'whole';
}

async function* bounded(framed: Framed, max: number, told: { endless: boolean }): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of framed.part()) {
    bytes += piece.length;
    if (bytes > max) {
      told.endless = true;
      return;
    }
    yield piece;
  }
}
