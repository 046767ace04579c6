/** Which services a worker acts on at all. */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { expect, test } from '@jest/globals';
import type { ServerTarget, ServiceRun } from '@tarfleet/contracts';
import { createLogger } from '@tarfleet/kernel';
import { createDeps } from './deps.ts';

const server: ServerTarget = { id: randomUUID(), projectId: 1, name: 'here', kind: 'local', pool: 'default' };
const signal = new AbortController().signal;
const argv = ['true'];
const command: ServiceRun = {
  ...{ id: randomUUID(), name: 'shop', healthCheck: null },
  runner: {
    kind: 'command',
    stop: { argv, seconds: 5 },
    start: { argv, seconds: 5 },
    status: { argv, seconds: 30 },
  },
};
const files: ServiceRun = { ...command, runner: { kind: 'none' } };
const pace = { timeoutSeconds: 1, intervalSeconds: 0, retries: 1, startPeriodSeconds: 0 };

const depsWith = (localServices: boolean) =>
  createDeps({
    logger: createLogger({ level: 'silent', process: 'test' }),
    keys: {} as never,
    keyring: {} as never,
    codec: {} as never,
    ...{ localRoots: ['/tmp'], localServices, tmpDir: tmpdir() },
  });

test('commands of a local server’s services need a word of the worker’s own environment', async () => {
  const careful = depsWith(false);
  const session = await careful.connect(server, { signal });
  const refused = expect.objectContaining({ code: 'LOCAL_NOT_ALLOWED' });
  expect(() => careful.serviceOf(server, { session }, command)).toThrow(refused as never);
  const checked = { ...files, healthCheck: { type: 'tcp' as const, host: '127.0.0.1', port: 1, ...pace } };
  expect(() => careful.serviceOf(server, { session }, checked)).toThrow(refused as never);
  expect(await careful.serviceOf(server, { session }, files).state(signal)).toMatchObject({ up: false });
  const bold = depsWith(true).serviceOf(server, { session }, command);
  expect(await bold.state(signal)).toMatchObject({ status: 'running' });
  await session.close();
});
