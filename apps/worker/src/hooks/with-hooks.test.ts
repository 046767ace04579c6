import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ArtifactPlan, ServiceHooks } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { createTransport } from '@tarfleet/transport';
import { keepingReporter, silent } from '../testing.ts';
import { withHooks } from './with-hooks.ts';

const transport = createTransport({ logger: silent, localRoots: ['/'], localAllowed: true });
const target = { id: randomUUID(), projectId: 1, name: 'box', pool: 'default', kind: 'local' } as const;
let dir: string;
let id: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-hooks-'));
  id = randomUUID();
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const says = (word: string, more = ''): { argv: string[]; seconds: number } => ({
  argv: ['sh', '-c', `echo ${word} >>${dir}/log; ${more}`],
  seconds: 20,
});
const log = async (): Promise<string[]> =>
  (await readFile(join(dir, 'log'), 'utf8').catch(() => '')).split('\n').filter(Boolean);

function attempt(
  number: number,
  hooks: ServiceHooks,
  { reachable = (): boolean => true, stop = new AbortController() } = {},
) {
  const { report } = keepingReporter('artifact');
  const warned: string[] = [];
  const plan = { server: target, service: { id, name: 'db', hooks } } as unknown as ArtifactPlan;
  const context = {
    plan,
    signal: stop.signal,
    log: silent,
    report: { ...report, warn: ({ code }: { code: string }) => void warned.push(code) },
    delivery: {
      attempt: number,
      token: 'abc',
      assertOwned: async () => undefined,
      childOutcomes: async () => new Map(),
    },
  };
  const deps = {
    connect: async (server: typeof target, { signal }: { signal: AbortSignal }) => {
      if (!reachable()) throw new AppError('SERVER_UNREACHABLE', 'gone', { retryable: true });
      return transport.connect({
        target: server,
        openSecrets: async () => ({ auth: { type: 'none' } }),
        signal,
      });
    },
  };
  return {
    warned,
    stop,
    run: (action: () => Promise<string> = async () => 'done') =>
      withHooks(
        deps as Parameters<typeof withHooks>[0],
        context as Parameters<typeof withHooks>[1],
        async () => {
          await transport
            .connect({
              target,
              openSecrets: async () => ({ auth: { type: 'none' } }),
              signal: new AbortController().signal,
            })
            .then(async (session) => {
              await session.run(says('backup').argv, { signal: new AbortController().signal });
              await session.close();
            });
          return action();
        },
      ),
  };
}

test('the commands run around the backup, and after it also when it fails or is cancelled', async () => {
  const hooks = { before: says('before'), after: says('after') };
  expect(await attempt(1, hooks).run()).toBe('done');
  await expect(attempt(2, hooks).run(async () => Promise.reject(new Error('broken')))).rejects.toThrow(
    'broken',
  );
  const cancelled = attempt(3, hooks);
  const cancel = new AppError('CANCELLED', 'cancelled');
  await expect(
    cancelled.run(async () => {
      cancelled.stop.abort(cancel);
      throw cancel;
    }),
  ).rejects.toBe(cancel);
  expect(await log()).toEqual([
    'before',
    'backup',
    'after',
    'before',
    'backup',
    'after',
    'before',
    'backup',
    'after',
  ]);
});

test('a command before that fails keeps the backup from being made; what is to follow follows', async () => {
  const one = attempt(1, {
    before: says('before', 'echo locked >&2; exit 3'),
    after: says('after', 'exit 4'),
  });
  await expect(one.run()).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(/exited with code 3: locked/),
  });
  expect(await log()).toEqual(['before', 'after']);
  expect(one.warned).toEqual(['HOOK_FAILED']);
});

test('what a broken attempt owes is done by the next one first, as it was then, and once', async () => {
  let there = true;
  const gone = attempt(1, { before: says('before'), after: says('old-after') }, { reachable: () => there });
  await expect(
    gone.run(async () => {
      there = false;
      throw new Error('the connection is gone');
    }),
  ).rejects.toThrow('gone');
  expect(gone.warned).toEqual(['HOOK_OWED']);
  expect(await log()).toEqual(['before', 'backup']);
  await attempt(2, { before: says('before'), after: says('after') }).run();
  await attempt(3, { before: says('before'), after: says('after') }).run();
  expect((await log()).slice(2)).toEqual([
    'old-after',
    'before',
    'backup',
    'after',
    'before',
    'backup',
    'after',
  ]);
});

test('an attempt whose place another has taken leaves the service as that one needs it', async () => {
  const first = attempt(1, { before: says('before'), after: says('after') });
  await expect(
    first.run(async () => {
      await attempt(2, { before: says('before-2'), after: says('after-2') }).run(async () => {
        // The first wakes up and takes itself for the owner.
        return 'second';
      });
      throw new AppError('CONNECTION_LOST', 'late');
    }),
  ).rejects.toThrow('late');
  expect(await log()).toEqual(['before', 'backup', 'after', 'before-2', 'backup', 'after-2']);
});
