import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again until there is an answer; throws when that takes longer than a minute, or as it is said. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  patienceMs = 60_000,
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`Waited in vain: ${what}.`);
    await sleep(50);
  }
}
