import type { ArchiveRoot } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { SourceWarning, Totals } from '../../types.ts';
import { show } from '../paths.ts';

/** Of fewer files than this that vanish, nothing is made but warnings. */
const FEW = 10;

/** What was there when the capture began. */
export interface Begun {
  service: string;
  roots: readonly ArchiveRoot[];
  /** What was to be read. */
  totals: Totals;
  /** The service's paths as they are now; PATH_NOT_FOUND when none is there. */
  resolveRoots(): Promise<ArchiveRoot[]>;
}

export interface Vanished {
  see(warning: SourceWarning): void;
  /** BACKUP_INCOMPLETE when a path of the service is gone, or most of its files are; PATH_NOT_FOUND when every path is. */
  assertFew(begun: Begun): Promise<void>;
}

/**
 * Files that come and go are life. A tree that is removed while it is read is not: what is left of it would be a backup
 * that counts as the newest good one, and lets older ones go that are whole.
 */
export function createVanished(): Vanished {
  let count = 0;
  return {
    see({ code }) {
      if (code === 'FILE_VANISHED') count += 1;
    },
    async assertFew({ service, roots, totals, resolveRoots }) {
      if (count === 0) return;
      const found = await resolveRoots().catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'PATH_NOT_FOUND') return [];
        throw error;
      });
      const now = new Set(found.map(({ path }) => path.toString('latin1')));
      const gone = roots.filter(({ path }) => !now.has(path.toString('latin1')));
      if (gone.length > 0) {
        const names = gone.map(({ path }) => show(path)).join(', ');
        const code = found.length === 0 ? 'PATH_NOT_FOUND' : 'BACKUP_INCOMPLETE';
        throw removed(code, `${names} of ${service} was removed while it was read.`);
      }
      const all = totals.files + totals.directories + totals.other;
      if (count < FEW || count * 2 <= all) return;
      const what = `${count} of ${all} files and folders of ${service} were removed while they were read.`;
      throw removed('BACKUP_INCOMPLETE', what);
    },
  };
}

/** Who hears PATH_NOT_FOUND may take it that nothing is left that could be lost. */
function removed(code: 'PATH_NOT_FOUND' | 'BACKUP_INCOMPLETE', what: string): AppError {
  return new AppError(
    code,
    `${what} What is left is no backup of it: back it up again once nobody removes it.`,
  );
}
