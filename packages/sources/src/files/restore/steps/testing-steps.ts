/** The steps of a restore over the bench's archive, for tests. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { ServiceTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';
import type {
  DestinationPlace,
  PreparedRestore,
  PrepareOptions,
  RestoreSummary,
  SourceWarning,
} from '../../../types.ts';
import { calm } from '../../testing-sessions.ts';
import type { Bench } from '../testing-bench.ts';
import { createRestoreSteps } from './create-restore-steps.ts';

export interface Steps {
  warnings: SourceWarning[];
  prepare(what: ServiceTarget, more?: Partial<PrepareOptions>): Promise<PreparedRestore>;
  apply(prepared: PreparedRestore): Promise<RestoreSummary>;
  undo(prepared: PreparedRestore): Promise<void>;
  undoable(prepared: PreparedRestore, destinations?: readonly DestinationPlace[]): Promise<string | null>;
  forget(prepared: PreparedRestore, keepOld?: boolean): Promise<void>;
}

export function stepsOver(bench: Bench, session: Session, signal = calm()): Steps {
  const steps = createRestoreSteps();
  const warnings: SourceWarning[] = [];
  const context = { session, signal, warn: (warning: SourceWarning) => void warnings.push(warning) };
  // As it comes back from a journal.
  const kept = (prepared: PreparedRestore): PreparedRestore =>
    JSON.parse(JSON.stringify(prepared)) as PreparedRestore;
  return {
    warnings,
    prepare: (service, more = {}) =>
      steps.prepare({
        ...context,
        service,
        jobId: randomBytes(8).toString('hex'),
        openTar: async () => createReadStream(bench.archive),
        roots: null,
        extras: [],
        restorePath: null,
        overwrite: true,
        keep: [],
        needs: { bytes: 0, files: 0 },
        onEntry: () => undefined,
        ...more,
      }),
    apply: (prepared) => steps.apply(kept(prepared), context),
    undo: (prepared) => steps.undo(kept(prepared), context),
    undoable: (prepared, destinations) => steps.undoable(kept(prepared), context, destinations),
    forget: (prepared, keepOld = false) => steps.forget(kept(prepared), context, { keepOld }),
  };
}
