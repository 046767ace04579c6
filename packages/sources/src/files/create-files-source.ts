import type { Source } from '../types.ts';
import { captureFiles } from './capture/capture-files.ts';
import type { TarHelp } from './capture/tar-options.ts';
import { previewFiles } from './preview/preview-files.ts';
import { createRestoreSteps } from './restore/steps/create-restore-steps.ts';

export interface FilesSourceOptions {
  /** On the worker, for lists of names; never for content. */
  tmpDir: string;
}

/** Files and folders of a server. */
export function createFilesSource(deps: FilesSourceOptions): Source {
  const { tmpDir } = deps;
  const tarHelp: TarHelp = new WeakMap();
  return {
    capture: (options) => captureFiles({ tmpDir, tarHelp }, options),
    preview: (options) => previewFiles({ tmpDir }, options),
    ...createRestoreSteps(),
  };
}
