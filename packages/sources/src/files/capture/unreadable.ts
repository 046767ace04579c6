import type { SourceWarning } from '../../types.ts';

/** More are not named: a restore then had better leave everything as it is. */
const UNREADABLE_MAX = 10_000;

export interface Unreadable {
  see(warning: SourceWarning): void;
  /** Null when there were too many to keep. */
  paths(): Buffer[] | null;
}

/** Keeps which paths warnings say could not be read. */
export function createUnreadable(): Unreadable {
  const found = new Map<string, Buffer>();
  return {
    see({ code, path }) {
      if (code !== 'FILE_UNREADABLE' || !path || found.size > UNREADABLE_MAX) return;
      found.set(path.toString('latin1'), Buffer.from(path));
    },
    paths: () => (found.size > UNREADABLE_MAX ? null : [...found.values()]),
  };
}
