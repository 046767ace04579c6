import { type NewEntry, tarHeader } from '@tarfleet/archive';
import { type RemoteFacts, type RemoteFile, type RemoteFiles, SftpStatus } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { memberName } from '../paths.ts';
import { changed, cutShort, exactly, otherKind, shrank, type Wanted } from './build-tar.ts';
import { unreadable, vanished } from './look-again.ts';

/** Entries that are looked at before their turn. */
const AHEAD = 32;
/** A content up to this is read at once, before its turn, in bytes. Every server gives that much (SFTP, 3). */
const PART = 32 * 1024;
/** Parts of a larger one that are asked for at once: 1 MiB is under way. */
const PARTS = 32;
const NO_SUCH_FILE = 2;

type Warn = (warning: SourceWarning) => void;

/** A header and what belongs to it, or why there is none. */
type Prepared =
  | { kind: 'left-out'; warning: SourceWarning }
  | { kind: 'entry'; path: Buffer; header: Buffer; file: Opened | null };

interface Opened {
  file: RemoteFile;
  facts: RemoteFacts;
  /** The beginning, read already. */
  first: Promise<Part>;
}

/** A part of a file; null at its end; why it cannot be read. */
type Part = Buffer | null | SftpStatus;

/** The entries of what is wanted, read over SFTP: many are opened at once, and large contents read ahead. */
export async function* sftpEntries(
  files: RemoteFiles,
  wanted: AsyncGenerator<Wanted>,
  leaveOut: Warn,
  warn: Warn,
): AsyncGenerator<Buffer> {
  const ahead: Promise<Prepared>[] = [];
  let more = true;
  try {
    for (;;) {
      while (more && ahead.length < AHEAD) {
        const { done, value } = await wanted.next();
        more = !done;
        if (done) break;
        const preparing = prepare(files, value);
        // It is awaited in its turn.
        preparing.catch(() => undefined);
        ahead.push(preparing);
      }
      const prepared = await ahead.shift();
      if (!prepared) return;
      if (prepared.kind === 'left-out') {
        leaveOut(prepared.warning);
        continue;
      }
      yield prepared.header;
      if (prepared.file) yield* contentOf(prepared.path, prepared.file, warn);
    }
  } finally {
    await wanted.return(undefined);
  }
}

async function prepare(files: RemoteFiles, { path }: Wanted): Promise<Prepared> {
  try {
    const facts = await files.lstat(path);
    const entry = {
      ...{ path: memberName(path), size: 0, mode: facts.mode, uid: facts.uid, gid: facts.gid },
      ...{ mtime: String(facts.mtime), linkTarget: null },
    };
    const built = (
      more: Pick<NewEntry, 'type'> & Partial<NewEntry>,
      file: Opened | null = null,
    ): Prepared => ({
      ...{ kind: 'entry', path, file },
      header: tarHeader({ ...entry, ...more } as Parameters<typeof tarHeader>[0]),
    });
    if (facts.type === 'd') return built({ type: 'directory' });
    if (facts.type === 'p') return built({ type: 'fifo' });
    if (facts.type === 'l') return built({ type: 'symlink', linkTarget: await files.readlink(path) });
    if (facts.type !== 'f') return { kind: 'left-out', warning: otherKind(path) };
    const opened = await openFile(files, path);
    if (opened === null) return { kind: 'left-out', warning: unreadable(path, 'it is being replaced') };
    const { size, mode, uid, gid, mtime } = opened.facts;
    return built({ type: 'file', size, mode, uid, gid, mtime: String(mtime) }, opened);
  } catch (error) {
    if (!(error instanceof SftpStatus)) throw error;
    const warning = error.status === NO_SUCH_FILE ? vanished(path) : unreadable(path, error.message);
    return { kind: 'left-out', warning };
  }
}

/** Null when what was opened is not what has this name: SFTP opens what a link leads to, and nobody asked for that. */
async function openFile(files: RemoteFiles, path: Buffer): Promise<Opened | null> {
  for (let tries = 0; tries < 2; tries += 1) {
    const file = await files.open(path);
    const first = readPart(file, 0, PART);
    const [facts, named] = await Promise.all([file.facts(), files.lstat(path)]);
    const same = (['type', 'mode', 'uid', 'gid'] as const).every((fact) => facts[fact] === named[fact]);
    if (facts.type === 'f' && same) return { file, facts, first };
    await file.close();
  }
  return null;
}

async function* contentOf(path: Buffer, { file, facts, first }: Opened, warn: Warn): AsyncGenerator<Buffer> {
  try {
    const told: { fault: SftpStatus | null } = { fault: null };
    const lacking = yield* exactly(parts(file, facts.size, first, told), facts.size);
    const after = await file.facts().catch((error: unknown) => {
      if (error instanceof SftpStatus) return null;
      throw error;
    });
    if (told.fault) warn(cutShort(path, told.fault.message));
    else if (lacking > 0) warn(shrank(path));
    else if (after?.size !== facts.size || after.mtime !== facts.mtime) warn(changed(path));
  } finally {
    await file.close();
  }
}

/** The file's bytes up to a length, in order; ends where the file does or cannot be read. */
async function* parts(
  file: RemoteFile,
  size: number,
  first: Promise<Part>,
  told: { fault: SftpStatus | null },
): AsyncGenerator<Buffer> {
  const asked: { offset: number; length: number; part: Promise<Part> }[] = [];
  let next = Math.min(PART, size);
  if (size > 0) asked.push({ offset: 0, length: next, part: first });
  for (let head = asked.shift(); head; head = asked.shift()) {
    for (; next < size && asked.length < PARTS; next += PART) {
      const length = Math.min(PART, size - next);
      asked.push({ offset: next, length, part: readPart(file, next, length) });
    }
    let { offset, length, part } = head;
    while (length > 0) {
      const bytes = await part;
      if (bytes instanceof SftpStatus) told.fault = bytes;
      if (bytes === null || bytes instanceof SftpStatus || bytes.length === 0) return;
      const used = bytes.subarray(0, length);
      yield used;
      offset += used.length;
      length -= used.length;
      // A server may give less than it was asked for.
      if (length > 0) part = readPart(file, offset, length);
    }
  }
}

function readPart(file: RemoteFile, offset: number, length: number): Promise<Part> {
  const part = file.read(offset, length).catch((error: unknown) => {
    if (error instanceof SftpStatus) return error;
    throw error;
  });
  // It is awaited in its turn.
  part.catch(() => undefined);
  return part;
}
