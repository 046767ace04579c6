import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ResealPlan, SealedBox } from '@tarfleet/contracts';
import type { ServerRecord } from '@tarfleet/db';
import { planReseal } from '../planner/on-target.ts';
import {
  attemptOf,
  openRunFixture,
  queueThatIsDown,
  type RunFixture,
  STARTED,
  silent,
} from '../testing/run-fixture.ts';
import { createRecorder } from './record.ts';

let t: RunFixture;
beforeAll(async () => {
  t = await openRunFixture();
});
afterAll(() => t.close());

const box = (keyId: string, ct = 'BBBB'): SealedBox => ({ v: 1, keyId, enc: 'AAAA', ct });
const password = (pool = 'default', ct = 'BBBB') => ({
  ...{ box: box('old', ct), pool, info: 'tarfleet:database-secrets:v1:[]' },
});
const addDatabase = ({ id }: ServerRecord, databasePassword: object | null) =>
  t.addService(id, {
    ...{ type: 'postgres', component: 'database', configPaths: [], dataPaths: [] },
    settings: { keep: 'this', ...(databasePassword ? { databasePassword } : {}) },
  });
const begin = async (server: ServerRecord) => {
  const draft = await planReseal(t, server, { userId: t.user.id, requestId: 'r' });
  await t.dispatcherOn(queueThatIsDown()).submit(draft);
  return { job: draft.root, plan: JSON.parse(draft.root.plan) as ResealPlan };
};
const recorder = () =>
  createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
const stored = async (id: string) => (await t.db.services.get(id))?.settings;

test.each(['completed', 'failed'] as const)(
  'passwords of a server’s databases move with its credentials, of a job that %s too, unless they were changed meanwhile',
  async (state) => {
    const server = await t.addServer();
    const [shop, wiki, failed] = [
      await addDatabase(server, password()),
      await addDatabase(server, password()),
      await addDatabase(server, password('default', 'CCCC')),
    ];
    await addDatabase(server, null);
    const elsewhere = await addDatabase(server, password('far'));
    const { job, plan } = await begin(server);
    expect(plan.databases?.map(({ serviceId }) => serviceId).sort()).toEqual(
      [shop.id, wiki.id, failed.id].sort(),
    );
    const given = { keep: 'this', databasePassword: { ...password(), box: box('given', 'DDDD') } };
    await t.db.services.update(wiki.id, { settings: given });
    const stranger = await addDatabase(await t.addServer(), password());
    const after = box('new', 'EEEE');
    const databases = [shop, wiki, elsewhere, stranger].map(({ id }) => ({ serviceId: id, secrets: after }));
    const failure = { code: 'SEAL_INVALID', message: 'x', retryable: false } as const;
    await recorder().record(
      attemptOf(job)(1, STARTED, {
        ...{ type: 'ended', state, ...(state === 'failed' ? { failure } : {}) },
        result: { kind: 'reseal', serverId: server.id, secrets: after, databases },
      }),
    );
    expect((await t.db.servers.get(server.id))?.sealed).toEqual(after);
    expect(await stored(shop.id)).toEqual({ keep: 'this', databasePassword: { ...password(), box: after } });
    expect(await stored(wiki.id)).toEqual(given);
    expect(await stored(failed.id)).toMatchObject({ databasePassword: password('default', 'CCCC') });
    expect(await stored(elsewhere.id)).toMatchObject({ databasePassword: password('far') });
    expect(await stored(stranger.id)).toMatchObject({ databasePassword: password() });
  },
);

test('a local server is resealed for its databases, and refused when it has nothing', async () => {
  const local = {
    kind: 'local',
    host: null,
    port: null,
    username: null,
    authType: 'none',
    sealed: null,
  } as const;
  const server = await t.addServer({ ...local, hostKeyFingerprint: null });
  await expect(begin(server)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
  await addDatabase(server, password());
  expect((await begin(server)).plan).toMatchObject({ host: null, secrets: null, databases: [{}] });
});
