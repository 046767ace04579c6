import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two requests, in milliseconds. */
const EVERY_MS = 10;

export interface Outage {
  /** Requests that were not answered with 200. */
  failed: number;
  /** From the first of them to the first good one behind the last, in seconds. */
  seconds: number;
}

/** Asks a web server again and again, as a client outside would, while something is done to it. */
export async function watchOutage(url: string, action: () => Promise<void>): Promise<Outage> {
  let over = false;
  let failed = 0;
  let first: number | null = null;
  let goodAgain: number | null = null;
  const watching = (async () => {
    for (;;) {
      const at = performance.now();
      if (await answers(url)) {
        if (first !== null) goodAgain ??= performance.now();
        if (over) return;
      } else {
        failed += 1;
        first ??= at;
        goodAgain = null;
      }
      await sleep(EVERY_MS);
    }
  })();
  try {
    await action();
  } finally {
    over = true;
  }
  await watching;
  return { failed, seconds: first === null || goodAgain === null ? 0 : (goodAgain - first) / 1000 };
}

/** Each on a connection of its own: a server that stops lets old ones live on. */
function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(url, { agent: false, timeout: 1_000 }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode === 200));
      answer.once('error', () => resolve(false));
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', () => resolve(false));
    asked.end();
  });
}
