import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.ts';

const LIMIT_MS = 1_800_000;

/** Resolves with the seconds it took when the job has ended well; rejects when it has ended in any other way. */
export async function untilEnded(client: Client, jobId: string, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { data } = await client.call('GET', `/api/jobs/${jobId}`);
    const seconds = (performance.now() - began) / 1000;
    if (data.state === 'completed') return seconds;
    if (data.ended_at !== null) throw new Error(`The job has not ended well: ${JSON.stringify(data)}`);
    if (seconds * 1000 > LIMIT_MS) throw new Error(`The job has not ended in time: ${JSON.stringify(data)}`);
    await sleep(1_000, undefined, { signal });
  }
}
