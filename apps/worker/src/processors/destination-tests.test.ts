import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DestinationTestPlan } from '@tarfleet/contracts';
import { createStorage } from '@tarfleet/storage';
import type { JobContext } from '../job-context.ts';
import { keepingReporter, silent, uuid } from '../testing.ts';
import { createDestinationTestProcessor } from './destination-test.ts';

/** Takes connections and says nothing. */
let mute: Server;
const sockets = new Set<Socket>();
beforeAll(async () => {
  mute = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(mute, 'listening');
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  mute.close();
});

test.each(['ftp', 'sftp'])(
  'a mute server of the type %s is told of while somebody still waits',
  async (type) => {
    const { port } = mute.address() as { port: number };
    const place = { host: '127.0.0.1', port, username: 'u', base_path: '/backups' };
    const sftp = { ...place, path: '/backups', host_key_fingerprint: `SHA256:${'A'.repeat(43)}` };
    const config =
      type === 'ftp' ? { host: place.host, port, username: 'u', path: '/backups', tls: 'none' } : sftp;
    const processor = createDestinationTestProcessor(
      {
        openStorage: async (target) =>
          createStorage(target, { password: 'p' }, { localRoots: [], localAllowed: false, logger: silent }),
      },
      1_000,
    );
    const plan = {
      ...{
        kind: 'destination-test',
        destination: { id: uuid(1), name: 'mute', type, config, secrets: null },
      },
    } as unknown as DestinationTestPlan;
    const { report } = keepingReporter();
    const { signal } = new AbortController();
    const ended = await processor({ plan, report, signal } as unknown as JobContext<DestinationTestPlan>);
    expect(ended.result).toMatchObject({
      ...{ reachable: false, writable: false },
      failure: {
        code: 'DESTINATION_UNREACHABLE',
        message: expect.stringMatching(/mute gave no answer within \d+ seconds/),
      },
    });
  },
  20_000,
);
