import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'ssh2';

/** For a server to take its leave; a dead one never does. */
const LEAVE_MS = 1000;

/** Ends a connection and waits until it is gone; never fails. Not for one that may be gone already. */
export async function endClient(client: Client): Promise<void> {
  // A fault while leaving changes nothing.
  const gone = once(client, 'close').catch(() => undefined);
  client.end();
  await Promise.race([gone, sleep(LEAVE_MS, undefined, { ref: false })]);
  client.destroy();
}
