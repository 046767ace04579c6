import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ArchiveRoot, createTarWalker, decodeRootList } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { discard } from './streams.ts';

/** One path to put back: what the archive calls it, where it lies once extracted, and where it is to go. */
export interface WantedRoot {
  /** The member's name for tar; null when the root is `/`, which is the whole archive. */
  member: Buffer | null;
  /** Below the folder that tar extracts into; `.` for that folder itself. */
  staged: Buffer;
  /** Absolute, without `.` or doubled slashes. */
  target: Buffer;
  /** It was a folder: where a symlink to a folder stands in its place now, it goes where that leads. */
  folder: boolean;
  /** Other roots that lie inside this one and come with it, as paths from here. */
  inner: Buffer[];
}

/** The roots that the archive itself names, or else those of the service; each with its target. */
export async function wantedRoots(options: {
  /** Null: the archive cannot be asked. */
  openTar: (() => Promise<Readable>) | null;
  service: ServiceTarget;
  roots: ArchiveRoot[] | null;
  restorePath: string | null;
  signal: AbortSignal;
}): Promise<WantedRoot[]> {
  const { service, restorePath } = options;
  const { openTar } = options;
  const named = options.roots ?? (openTar && (await readRootList(await openTar(), options.signal)));
  const listed: ArchiveRoot[] =
    named ??
    [...service.configPaths, ...service.dataPaths].map((path) => ({
      path: Buffer.from(path),
      type: 'directory',
    }));
  const roots = listed.map(({ path, type }) => toRoot(path, restorePath, type === 'directory'));
  // A folder and something inside it: the folder brings both. The same name twice is one.
  return roots
    .filter(
      (root, index) =>
        !roots.some(
          (other, at) =>
            isInside(root.staged, other.staged) || (at < index && other.staged.equals(root.staged)),
        ),
    )
    .map((root) => ({
      ...root,
      inner: roots.flatMap(({ staged }) =>
        isInside(staged, root.staged) ? [fromTo(root.staged, staged)] : [],
      ),
    }));
}

/** Reads only as far as the first entry. Null when the archive does not say. */
async function readRootList(tar: Readable, signal: AbortSignal): Promise<ArchiveRoot[] | null> {
  const seen = new Error('the first entry is reached');
  const lists: ArchiveRoot[][] = [];
  const walker = createTarWalker({
    onComment(comment) {
      const list = decodeRootList(comment);
      if (list) lists.push(list);
    },
    onEntry() {
      throw seen;
    },
  });
  try {
    await pipeline(tar, walker, discard(), { signal });
  } catch (error) {
    if (error !== seen) throw error;
  }
  return lists.at(-1) ?? null;
}

const SLASH = 0x2f;

function toRoot(path: Buffer, restorePath: string | null, folder: boolean): WantedRoot {
  const parts = split(path);
  const target = [...(restorePath === null ? [] : split(Buffer.from(restorePath))), ...parts];
  if (target.some((part) => part === '..')) {
    throw new AppError('PATH_REFUSED', `${path.toString()} holds "..": nothing is restored through that.`);
  }
  if (target.length === 0) {
    throw new AppError(
      'PATH_REFUSED',
      'The root of a running server cannot be replaced. Restore to a folder (restore_path) and move from there what is needed.',
    );
  }
  return {
    member: parts.length > 0 ? trim(path) : null,
    staged: Buffer.from(parts.join('/') || '.', 'latin1'),
    target: Buffer.from(`/${target.join('/')}`, 'latin1'),
    folder,
    inner: [],
  };
}

function fromTo(outer: Buffer, inner: Buffer): Buffer {
  return outer.equals(Buffer.from('.')) ? inner : inner.subarray(outer.length + 1);
}

/** As one character per byte, so that any name survives. */
function split(path: Buffer): string[] {
  return path
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
}

/** As tar's members are named: no slash at either end. */
function trim(path: Buffer): Buffer {
  let from = 0;
  let to = path.length;
  while (path[from] === SLASH) from += 1;
  while (to > from && path[to - 1] === SLASH) to -= 1;
  return path.subarray(from, to);
}

function isInside(inner: Buffer, outer: Buffer): boolean {
  if (outer.equals(inner)) return false;
  if (outer.equals(Buffer.from('.'))) return true;
  return inner.length > outer.length && inner[outer.length] === SLASH && inner.indexOf(outer) === 0;
}
