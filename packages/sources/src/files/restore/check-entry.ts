import type { TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { WantedRoot } from './wanted-roots.ts';

const SLASH = 0x2f;

/** Refuses what would lead out of the folder that tar extracts into. ARCHIVE_MALFORMED. */
export function assertSafeEntry(entry: TarEntry): void {
  assertSafeName(entry.path, entry.offset);
  // Only a hard link is looked up while tar runs; a symlink is mere text until somebody follows it.
  if (entry.type === 'hardlink' && entry.linkTarget) assertSafeName(entry.linkTarget, entry.offset);
}

function assertSafeName(name: Buffer, offset: number): void {
  const parts = name.toString('latin1').split('/');
  if (name[0] !== SLASH && !parts.includes('..')) return;
  throw new AppError(
    'ARCHIVE_MALFORMED',
    `The archive names ${JSON.stringify(name.toString())} (at byte ${offset}), which leads out of the folder that is restored. Nothing was restored.`,
  );
}

/** Tells whether an entry belongs to one of these roots. */
export function belongsTo(roots: readonly WantedRoot[]): (entry: TarEntry) => boolean {
  if (roots.some((root) => root.member === null)) return () => true;
  const members = roots.flatMap((root) => (root.member ? [root.member] : []));
  return ({ path }) =>
    members.some(
      (member) =>
        path.length >= member.length &&
        (path.length === member.length || path[member.length] === SLASH) &&
        path.compare(member, 0, member.length, 0, member.length) === 0,
    );
}
