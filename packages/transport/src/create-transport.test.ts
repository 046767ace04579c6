import { expect, test } from '@jest/globals';
import { createLogger } from '@tarfleet/kernel';
import { createTransport } from './create-transport.ts';
import { calm, localTarget } from './test-support.ts';

const logger = createLogger({ level: 'silent', process: 'test' });
const openSecrets = () => Promise.reject(new Error('local has no secrets'));

test.each([
  [false, ['/tmp']],
  [true, []],
])(
  'local servers are refused where the worker does not allow them (allowed: %s, roots: %j)',
  async (localAllowed, localRoots) => {
    const transport = createTransport({ logger, localAllowed, localRoots });
    await expect(transport.connect({ target: localTarget, openSecrets, signal: calm })).rejects.toMatchObject(
      {
        code: 'LOCAL_NOT_ALLOWED',
        retryable: false,
      },
    );
  },
);

test("nothing of the worker's environment reaches a local command", async () => {
  process.env.TARFLEET_TEST_CANARY = 'canary';
  const transport = createTransport({ logger, localAllowed: true, localRoots: ['/tmp'] });
  const session = await transport.connect({ target: localTarget, openSecrets, signal: calm });
  const { stdout } = await session.run(['env'], { signal: calm });
  expect(stdout.toString()).not.toContain('canary');
  expect(stdout.toString()).toMatch(/^LC_ALL=C$/m);
  expect(session.fingerprint).toBeNull();
  await session.close();
});
