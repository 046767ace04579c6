import '../testing-realm.ts';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type FaultProxy, type RunningAzurite, startAzurite, startFaultProxy } from '@tarfleet/testbed';
import { createTunedStorage } from '../create-storage.ts';
import { tuned } from '../testing-tuning.ts';
import type { Storage } from '../types.ts';
import { openContainer } from './azure-container.ts';

const never = new AbortController().signal;
const MIB = 1024 * 1024;
let server: RunningAzurite;
let proxy: FaultProxy;
let storage: Storage;
beforeAll(async () => {
  server = await startAzurite();
  proxy = await startFaultProxy(server.endpoint);
  const { account, accountKey } = server;
  const config = { account, container: 'own', endpoint: `${proxy.url}/${account}` };
  await openContainer(config, { accountKey }).create();
  const target = { name: 'Cloud', type: 'azure', config } as const;
  storage = createTunedStorage(target, { accountKey }, { localAllowed: false }, tuned({}));
});
afterAll(async () => {
  await storage.close();
  await proxy.stop();
  await server.stop();
});

test.each([
  [507, 'InsufficientStorage'],
  [403, 'AccountLimitExceeded'],
])(
  'a quota that is reached in the middle (%d %s) is STORAGE_FULL at once, and leaves no blocks',
  async (status, code) => {
    let blocks = 0;
    proxy.decide = ({ url }) => {
      if (!url.includes('comp=block&')) return 'pass';
      blocks += 1;
      return blocks > 1 ? { status, code } : 'pass';
    };
    const body = Readable.from([randomBytes(20 * MIB)], { objectMode: false });
    await expect(storage.put(`full-${status}/object`, body, { signal: never })).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      retryable: false,
    });
    expect(blocks).toBeLessThanOrEqual(3);
    proxy.decide = () => 'pass';
    expect(await storage.abortUploads('', never)).toBe(0);
    expect(await storage.stat(`full-${status}/object`, never)).toBeNull();
  },
);
