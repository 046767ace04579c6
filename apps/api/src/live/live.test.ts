import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JobRecord } from '@tarfleet/db';
import { createRecorder, type Recorder } from '../recorder/record.ts';
import {
  attemptOf,
  COMPLETED,
  openRunFixture,
  type RunFixture,
  STARTED,
  silent,
  step,
} from '../testing/run-fixture.ts';
import { streamEvents } from './event-stream.ts';
import { createLiveHub, type LiveHub } from './hub.ts';
import { waitForEnd } from './wait-for-end.ts';

let t: RunFixture;
let hub: LiveHub;
let recorder: Recorder;
beforeAll(async () => {
  t = await openRunFixture();
  hub = createLiveHub({ databaseUrl: t.url, logger: silent });
  recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
});
afterAll(async () => {
  await hub.close();
  await t.close();
});
const newJob = async (): Promise<JobRecord> =>
  (await t.storeBackup([await t.addService(t.server.id)])).children[0]!;
const { signal: never } = new AbortController();

test('whoever waits for an end is woken by it, and comes back when the time is over', async () => {
  const job = await newJob();
  const waiting = waitForEnd({ db: t.db, hub }, job.id, 50_000, never);
  await recorder.record(attemptOf(job)(1, STARTED, COMPLETED));
  expect(await waiting).toMatchObject({ state: 'completed' });
  expect(await waitForEnd({ db: t.db, hub }, (await newJob()).id, 50, never)).toMatchObject({
    endedAt: null,
  });
  await expect(waitForEnd({ db: t.db, hub }, crypto.randomUUID(), 50, never)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

/** Serves one stream over HTTP; gives its text and the stream's own end. */
async function follow(jobId: string, afterId: bigint) {
  let streamed: Promise<void> = Promise.resolve();
  const server = createServer((_request, response) => {
    streamed = streamEvents({ db: t.db, hub }, jobId, afterId, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const request = get({ port: (server.address() as AddressInfo).port, agent: false });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return {
    request,
    async text() {
      let text = '';
      for await (const chunk of answer) text += String(chunk);
      return text;
    },
    async ended() {
      await streamed;
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a stream gives what is stored, then what comes, then the end; and resumes after an id', async () => {
  const job = await newJob();
  const batch = attemptOf(job);
  await recorder.record(batch(1, STARTED));
  const live = await follow(job.id, 0n);
  await recorder.record(batch(2, step(1, 'started'), COMPLETED));
  const text = await live.text();
  await live.ended();
  const names = [...text.matchAll(/^event: (.*)$/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'progress');
  expect(names).toEqual(['started', 'step', 'ended', 'end']);
  expect(text).toContain(`{"job_id":"${job.id}","state":"completed"}`);
  const stored = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => BigInt(id ?? ''));
  const rest = await follow(job.id, stored[1]!);
  const restText = await rest.text();
  await rest.ended();
  expect([...restText.matchAll(/^id: (.*)$/gm)].map(([, id]) => id)).toEqual([String(stored[2])]);
});

test('a stream ends when its client leaves, also one that left before it began', async () => {
  const job = await newJob();
  const live = await follow(job.id, 0n);
  live.request.destroy();
  await live.ended();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const request = get({ port: (server.address() as AddressInfo).port, agent: false });
  request.on('error', () => undefined);
  const [, response] = await once(server, 'request');
  request.destroy();
  await once(response, 'close');
  await streamEvents({ db: t.db, hub }, job.id, 0n, response);
  await new Promise((resolve) => server.close(resolve));
});
