import type { Database } from '@tarfleet/db';
import type { Dispatcher, RunDraft } from './dispatcher.ts';

/**
 * A dispatcher whose `submit` stores a run together with another one that comes first, and sends that one. The run
 * waits for its end (`recorder/hand-on.ts`); the first holds what both need of the services, so that nothing comes in
 * between. `afterAnyEnd`: the run follows also when the first has failed.
 */
export function dispatchAfter(
  { db, dispatcher }: { db: Database; dispatcher: Dispatcher },
  first: RunDraft,
  { afterAnyEnd }: { afterAnyEnd: boolean },
): Dispatcher {
  return {
    ...dispatcher,
    async submit(draft) {
      const leading = { ...first, leases: [...new Set([...first.leases, ...draft.leases])] };
      const waiting = { ...draft, root: { ...draft.root, afterId: first.root.id, afterAnyEnd }, leases: [] };
      await db.transaction(async (tx) => {
        await dispatcher.store(tx, leading);
        await dispatcher.store(tx, waiting);
        if (draft.root.kind !== 'restore') return;
        await tx.restores.change(draft.root.id, { currentStep: 'Waiting for the emergency backup' });
      });
      await dispatcher.sendStored(leading);
    },
  };
}
