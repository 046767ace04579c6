import type { Logger } from '@tarfleet/kernel';
import type { Source } from '../types.ts';
import { captureFiles } from './capture/capture-files.ts';
import { restoreFiles } from './restore/restore-files.ts';

export interface FilesSourceOptions {
  logger: Logger;
  /** On the worker, for lists of names; never for content. */
  tmpDir: string;
}

/** Files and folders of a server. */
export function createFilesSource(deps: FilesSourceOptions): Source {
  return {
    capture: (options) => captureFiles(deps, options),
    restore: (options) => restoreFiles(deps, options),
  };
}
