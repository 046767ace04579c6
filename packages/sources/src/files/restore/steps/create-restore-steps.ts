import type { RestoreSteps } from '../../../types.ts';
import { apply, undo } from './apply.ts';
import { forget, undoable } from './forget.ts';
import { prepare } from './prepare.ts';
import { survey } from './survey.ts';

/** Restores of files, as steps that can be taken, broken off, taken up again and taken back. */
export function createRestoreSteps(): RestoreSteps {
  return {
    async check(options) {
      await survey({ ...options, openTar: null });
    },
    prepare,
    apply,
    undo,
    undoable,
    forget,
  };
}
