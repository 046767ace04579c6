import type { AppDeps } from '../../deps.ts';
import type { RunDeps } from '../../routes/backups/deps.ts';

/** What document 5's routes stand on. */
export type TacacsDeps = Omit<RunDeps, 'config'> & Pick<AppDeps, 'config' | 'vault' | 'jobs' | 'clock'>;
