import type { Job } from 'bullmq';
import { withDeadline } from './deadline.ts';
import type { Hub } from './hub.ts';
import { decodeValue } from './job-data.ts';
import type { Delivery } from './types.ts';

/** What the children of a flow's parent came to. Those that were taken away are not in it. */
export async function childOutcomes(
  hub: Hub,
  parent: Job,
): Promise<Awaited<ReturnType<Delivery['childOutcomes']>>> {
  const [values, failures] = await withDeadline(hub.settings.callMs, () =>
    Promise.all([parent.getChildrenValues<unknown>(), parent.getIgnoredChildrenFailures()]),
  );
  const outcomes: Awaited<ReturnType<Delivery['childOutcomes']>> = new Map();
  for (const [key, value] of Object.entries(values ?? {})) {
    outcomes.set(childId(key), { ok: true, result: decodeValue(value) });
  }
  for (const [key, reason] of Object.entries(failures ?? {})) {
    outcomes.set(childId(key), { ok: false, reason });
  }
  return outcomes;
}

/** Both backends name a child `...queue:id`; no id of ours has a colon. */
function childId(key: string): string {
  return key.slice(key.lastIndexOf(':') + 1);
}
