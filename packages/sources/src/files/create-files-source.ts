import type { Logger } from '@tarfleet/kernel';
import type { Source } from '../types.ts';
import { captureFiles } from './capture/capture-files.ts';
import type { TarHelp } from './capture/tar-options.ts';
import { restoreFiles } from './restore/restore-files.ts';
import { createRestoreSteps } from './restore/steps/create-restore-steps.ts';

export interface FilesSourceOptions {
  logger: Logger;
  /** On the worker, for lists of names; never for content. */
  tmpDir: string;
}

/** Files and folders of a server. */
export function createFilesSource(deps: FilesSourceOptions): Source {
  const { tmpDir } = deps;
  const tarHelp: TarHelp = new WeakMap();
  return {
    capture: (options) => captureFiles({ tmpDir, tarHelp }, options),
    restore: (options) => restoreFiles(deps, options),
    ...createRestoreSteps(),
  };
}
