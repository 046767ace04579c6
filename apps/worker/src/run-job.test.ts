import { expect, test } from '@jest/globals';
import type { EventBatch, JobEvent, Plan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Delivery } from '@tarfleet/queue';
import { createPlanReader, createPlanSigner, generateApiKeys, generatePoolKeys } from '@tarfleet/vault';
import type { Outcome } from './job-context.ts';
import { createRunJob, type Processors, type RunJobDeps } from './run-job.ts';
import { silent, uuid } from './testing.ts';

const plan: Plan = {
  ...{ v: 1, kind: 'destination-test', jobId: uuid(1), pool: 'default', projectId: 1, requestId: 'r' },
  issuedAt: '2026-01-01T00:00:00.000Z',
  destination: { id: uuid(2), name: 'd', type: 'local', config: { path: '/tmp' } },
};
const RESULT: Outcome = {
  state: 'completed',
  result: { kind: 'destination-test', reachable: true, writable: true, latencyMs: 1, failure: null },
};
const superseded = new AppError('ATTEMPT_SUPERSEDED', 'The lock is lost.');

interface Try {
  processor?: (delivery: Delivery, abort: (reason: unknown) => void) => Promise<Outcome>;
  readPlan?: RunJobDeps['readPlan'];
  delivery?: Partial<Delivery>;
}

/** Runs one try; gives what came of it and what was told. */
async function attempt({ processor = async () => RESULT, readPlan = async () => plan, delivery }: Try) {
  const batches: EventBatch[] = [];
  const controller = new AbortController();
  const whole: Delivery = {
    ...{ jobId: uuid(1), pool: 'default', kind: 'destination-test', plan: 'token', attempt: 1001 },
    ...{ token: 'abcdefabcdef', isLastTry: false, signal: controller.signal, assertOwned: async () => {} },
    ...{ progress: () => {}, childOutcomes: async () => new Map() },
    ...delivery,
  };
  const one = () => processor(whole, (reason) => controller.abort(reason));
  const run = createRunJob({
    ...{ logger: silent, workerId: 'w1', readPlan },
    processors: { 'destination-test': one } as unknown as Processors,
    publish: async (batch) => void batches.push(batch),
  });
  const outcome = await run(whole).then(
    (result) => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error: error as AppError }),
  );
  const events: JobEvent[] = batches.flatMap((batch) => batch.events);
  return { ...outcome, events, types: events.map(({ type }) => type) };
}
const fails = (error: Error) => ({ processor: () => Promise.reject(error) });

test.each(['completed', 'partial'] as const)(
  '%s: the end is told before the result is given back',
  async (state) => {
    const { result, events, types } = await attempt({ processor: async () => ({ ...RESULT, state }) });
    expect(result).toEqual(RESULT.result);
    expect(types).toEqual(['started', 'ended']);
    expect(events[0]).toMatchObject({ worker: 'w1', seq: 1 });
    expect(events[1]).toMatchObject({ state, result: RESULT.result, seq: 2 });
  },
);

test('a retryable fault is told and thrown on while tries are left', async () => {
  const fault = new AppError('CONNECTION_LOST', 'gone', { retryable: true });
  const { error, events, types } = await attempt(fails(fault));
  expect(error).toBe(fault);
  expect(types).toEqual(['started', 'retrying']);
  expect(events[1]).toMatchObject({ failure: { code: 'CONNECTION_LOST', retryable: true } });
});

test('the last try of a retryable fault, and a fault that is not, end the job', async () => {
  for (const retryable of [true, false]) {
    const fault = new AppError('CONNECTION_LOST', 'gone', { retryable });
    const { error, events, types } = await attempt({ ...fails(fault), delivery: { isLastTry: retryable } });
    expect(error).toMatchObject({ code: 'CONNECTION_LOST', retryable: false });
    expect(types).toEqual(['started', 'ended']);
    expect(events[1]).toMatchObject({
      state: 'failed',
      failure: { code: 'CONNECTION_LOST', retryable: false },
    });
  }
});

test('an unknown error is tried again, and its text is told to nobody', async () => {
  for (const isLastTry of [false, true]) {
    const told = await attempt({ ...fails(new Error('secret')), delivery: { isLastTry } });
    expect(told.types).toEqual(['started', isLastTry ? 'ended' : 'retrying']);
    expect(JSON.stringify(told.events)).not.toContain('secret');
  }
});

test('what aborted an attempt is why it ended, whatever it threw', async () => {
  const aborted = (code: 'CANCELLED' | 'WORKER_STOPPING' | 'ATTEMPT_SUPERSEDED', isLastTry = false) =>
    attempt({
      async processor(_delivery, abort) {
        abort(new AppError(code, 'why'));
        throw new AppError('STORAGE_FAILED', 'broken pipe');
      },
      delivery: { isLastTry },
    });
  const cancelled = await aborted('CANCELLED');
  expect(cancelled.events[1]).toMatchObject({
    type: 'ended',
    state: 'cancelled',
    failure: { code: 'CANCELLED' },
  });
  const stopping = await aborted('WORKER_STOPPING', true);
  expect(stopping.types).toEqual(['started', 'retrying']);
  expect(stopping.error).toMatchObject({ code: 'WORKER_STOPPING' });
  const lost = await aborted('ATTEMPT_SUPERSEDED', true);
  expect(lost.types).not.toContain('ended');
  expect(lost.types).not.toContain('retrying');
  expect(lost.error).toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
});

test('an attempt that lost its job and has not noticed ends nothing, well or not', async () => {
  const assertOwned = () => Promise.reject(superseded);
  for (const processor of [async () => RESULT, () => Promise.reject(new AppError('PATH_NOT_FOUND', 'no'))]) {
    const { error, types } = await attempt({ processor, delivery: { assertOwned } });
    expect(error).toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    expect(types).not.toContain('ended');
  }
});

test('a failure whose owner the queue cannot name is left to the queue', async () => {
  const down = new AppError('UNAVAILABLE', 'down', { retryable: true });
  const { error, types } = await attempt({
    ...fails(new AppError('PATH_NOT_FOUND', 'no /srv')),
    delivery: { assertOwned: () => Promise.reject(down) },
  });
  expect(error).toMatchObject({ code: 'PATH_NOT_FOUND', retryable: false });
  expect(types).not.toContain('ended');
});

test('a plan that is forged, for another job, too old or of an unknown version ends the job, and nothing runs', async () => {
  const keys = generateApiKeys();
  const pool = generatePoolKeys('default', keys.signing);
  const signer = createPlanSigner(keys.signing[0]!);
  const stranger = createPlanSigner(generateApiKeys().signing[0]!);
  const plans = createPlanReader({ publicKeys: pool.signers });
  const outcomeOf = async (token: string) => {
    let ran = false;
    const { events } = await attempt({
      readPlan: plans.read.bind(plans),
      processor: async () => {
        ran = true;
        return RESULT;
      },
      delivery: { plan: token },
    });
    const last = events.at(-1);
    if (last?.type !== 'ended') throw new Error('not ended');
    return [ran, last.state, last.failure?.code];
  };
  const HOUR = 3600_000;
  expect(await outcomeOf(await signer.sign(plan, HOUR))).toEqual([true, 'completed', undefined]);
  const refused = (code: string) => [false, 'failed', code];
  expect(await outcomeOf('nonsense')).toEqual(refused('PLAN_INVALID'));
  expect(await outcomeOf(await stranger.sign(plan, HOUR))).toEqual(refused('PLAN_INVALID'));
  expect(await outcomeOf(await signer.sign({ ...plan, jobId: uuid(7) }, HOUR))).toEqual(
    refused('PLAN_INVALID'),
  );
  expect(await outcomeOf(await signer.sign({ ...plan, pool: 'far' }, HOUR))).toEqual(refused('PLAN_INVALID'));
  expect(await outcomeOf(await signer.sign(plan, -HOUR))).toEqual(refused('PLAN_EXPIRED'));
  const unknown = new AppError('PLAN_VERSION_UNKNOWN', 'Update the worker.');
  const { events } = await attempt({ readPlan: () => Promise.reject(unknown) });
  expect(events.at(-1)).toMatchObject({ state: 'failed', failure: { code: 'PLAN_VERSION_UNKNOWN' } });
});
