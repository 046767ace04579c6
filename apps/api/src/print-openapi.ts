// Started as a process by scripts/generate-sdk.mjs: prints the description of the routes, which stands without a
// database, a queue or an environment. What the routes would work with is not there, for none is ever asked.
import { createDatabase } from '@tarfleet/db';
import { createLogger } from '@tarfleet/kernel';
import { createSecretBox, generateApiKeys } from '@tarfleet/vault';
import { buildApp } from './app.ts';
import type { AppDeps } from './deps.ts';
import { readConfig } from './env.ts';

const keys = generateApiKeys();
const db = createDatabase({ url: 'postgres://nobody@localhost/nothing' });
const app = await buildApp({
  config: readConfig({ DATABASE_URL: 'postgres://x', QUEUE_URL: 'x', API_KEYS: '{}', POOLS: '{}' }),
  logger: createLogger({ level: 'silent', process: 'api' }),
  db,
  clock: async () => new Date(),
  vault: {
    box: createSecretBox(keys.box),
    pools: new Map(),
    jwtSecret: Buffer.from(keys.jwtSecret, 'base64url'),
  },
  ...({ queue: {}, jobs: {}, dispatcher: {}, hub: {}, cancel: {}, downloads: {} } as Pick<
    AppDeps,
    'queue' | 'jobs' | 'dispatcher' | 'hub' | 'cancel' | 'downloads'
  >),
});
await app.ready();
process.stdout.write(JSON.stringify(app.swagger()));
await app.close();
await db.close();
