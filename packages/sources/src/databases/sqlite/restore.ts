import type { DatabaseTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '../../types.ts';
import { stagedPath } from '../file-swap/file-swap.ts';
import type { FileEngine } from '../file-swap/restore-steps.ts';
import { runTool } from '../run-tool.ts';

/** A SQLite database and what it writes beside it, which must not be taken for the new one's. */
export function sqliteEngine(
  context: RestoreContext,
  target: Extract<DatabaseTarget, { type: 'sqlite' }>,
): FileEngine {
  return {
    ...{ kind: 'sqlite', path: target.path, holdsData: null, rewritten: false },
    also: (name) => [`${name}-wal`, `${name}-shm`, `${name}-journal`],
    async check(swap) {
      // Read as it is: nothing may come to lie beside it.
      const file = `file:${stagedPath(swap).split('/').map(encodeURIComponent).join('/')}?immutable=1`;
      const said = await runTool({
        ...{ session: context.session, signal: context.signal },
        where: { runAs: null, binDir: target.binDir },
        ...{ package: 'sqlite3', program: 'sqlite3', secret: null },
        args: ['-batch', '-bail', '-init', '/dev/null', file, 'PRAGMA integrity_check(5)'],
      });
      if (said.trim() === 'ok') return;
      throw new AppError(
        'RESTORE_FAILED',
        `The backup's database is damaged, and nothing was changed. SQLite says: ${said.trim().slice(0, 500)}`,
      );
    },
  };
}
