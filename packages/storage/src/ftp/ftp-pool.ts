import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@tarfleet/kernel';
import type { Client } from 'basic-ftp';

/** Servers allow an account few connections; each does one thing at a time. */
const MOST = 8;
/** Beyond it a server or a firewall may have forgotten a connection without a word. */
const IDLE_MS = 20_000;
/** Streams hold their connection: who opens too many at once would wait for itself. */
const WAIT_MS = 120_000;

export interface FtpLease {
  client: Client;
  /** Once: puts the connection back, or closes it. */
  release(reusable: boolean): void;
}

export interface FtpPool {
  /** A connection for one caller, new or used before. */
  lease(signal: AbortSignal): Promise<FtpLease>;
  close(): void;
}

/** At most eight connections to one server, made when they are needed. */
export function createFtpPool(open: (signal: AbortSignal) => Promise<Client>, server: string): FtpPool {
  const idle: { client: Client; since: number }[] = [];
  const busy = new Set<Client>();
  const waiting: (() => void)[] = [];
  let taken = 0;
  let closed = false;

  async function place(signal: AbortSignal): Promise<void> {
    if (taken < MOST) {
      taken += 1;
      return;
    }
    const over = new AbortController();
    let go: () => void = () => undefined;
    const free = new Promise<'free'>((resolve) => {
      go = () => resolve('free');
      waiting.push(go);
    });
    const late = sleep(WAIT_MS, 'late' as const, { signal: AbortSignal.any([signal, over.signal]) });
    const won = await Promise.race([free, late]).catch(() => 'aborted' as const);
    over.abort();
    if (won === 'free') return;
    const at = waiting.indexOf(go);
    // It was handed over at the very moment: to the next.
    if (at < 0) giveBack();
    else waiting.splice(at, 1);
    signal.throwIfAborted();
    throw new AppError(
      'DESTINATION_UNREACHABLE',
      `All ${MOST} connections to ${server} were busy for too long.`,
      {
        retryable: true,
      },
    );
  }

  function giveBack(): void {
    const next = waiting.shift();
    if (next) next();
    else taken -= 1;
  }

  function reusable(): Client | null {
    for (let last = idle.pop(); last; last = idle.pop()) {
      if (!last.client.closed && Date.now() - last.since < IDLE_MS) return last.client;
      last.client.close();
    }
    return null;
  }

  return {
    async lease(signal) {
      signal.throwIfAborted();
      await place(signal);
      try {
        const client = reusable() ?? (await open(signal));
        busy.add(client);
        let held = true;
        return {
          client,
          release(again) {
            if (!held) return;
            held = false;
            busy.delete(client);
            if (again && !closed && !client.closed) idle.push({ client, since: Date.now() });
            else client.close();
            giveBack();
          },
        };
      } catch (error) {
        giveBack();
        throw error;
      }
    },
    close() {
      closed = true;
      for (const { client } of idle.splice(0)) client.close();
      for (const client of busy) client.close();
    },
  };
}
