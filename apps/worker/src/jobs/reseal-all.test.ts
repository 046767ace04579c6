import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { DatabaseSecrets, PLAN_VERSION, type ResealPlan, ServerSecrets } from '@tarfleet/contracts';
import {
  databaseSecretsInfo,
  generateApiKeys,
  generatePoolKeys,
  openSealedObject,
  type PoolPrivateKey,
  publicHalf,
  sealFor,
  serverSecretsInfo,
} from '@tarfleet/vault';
import { resealAll } from './reseal-all.ts';

const host = 'db1.example.com';
const serverId = randomUUID();
const credentials = { auth: { type: 'password' as const, password: 'root password' } };
const generated = (): PoolPrivateKey => {
  const [key] = generatePoolKeys('default', generateApiKeys().signing).keys;
  if (!key) throw new Error('no key');
  return key;
};
const infoOf = (user: string): string =>
  databaseSecretsInfo({
    ...{ projectId: 1, serverId, server: { host, port: 22 }, type: 'postgres', host: null, port: null, user },
  });
const serverInfo = serverSecretsInfo({ projectId: 1, pool: 'default', serverId, host, port: 22 } as never);

async function planFrom(old: PoolPrivateKey, to: PoolPrivateKey): Promise<ResealPlan> {
  const key = publicHalf({ keys: [old] });
  const database = async (user: string) => ({
    ...{ serviceId: randomUUID(), serviceName: user, info: infoOf(user) },
    secrets: await sealFor(key, infoOf(user), { password: `password of ${user}` }),
  });
  return {
    ...{ v: PLAN_VERSION, jobId: randomUUID(), pool: 'default', projectId: 1, requestId: 'r' },
    ...{ issuedAt: new Date().toISOString(), kind: 'reseal', serverId, host, port: 22 },
    secrets: await sealFor(key, serverInfo, credentials),
    databases: [await database('shop'), await database('wiki')],
    to: publicHalf({ keys: [to] }),
  };
}

test('after a rotation the old key can go: everything opens with the new one alone, each in its own place', async () => {
  const [old, next] = [generated(), generated()];
  const plan = await planFrom(old, next);
  const result = await resealAll([next, old], plan);
  const open = [next];
  expect(await openSealedObject(open, serverInfo, result.secrets!, ServerSecrets)).toEqual(credentials);
  expect(result.databases?.map(({ serviceId }) => serviceId)).toEqual(
    plan.databases?.map(({ serviceId }) => serviceId),
  );
  const [shop, wiki] = result.databases ?? [];
  expect(await openSealedObject(open, infoOf('shop'), shop!.secrets, DatabaseSecrets)).toEqual({
    password: 'password of shop',
  });
  await expect(openSealedObject(open, infoOf('shop'), wiki!.secrets, DatabaseSecrets)).rejects.toMatchObject({
    code: 'SEAL_INVALID',
  });
  // As it was, nothing opens without the old key.
  await expect(resealAll(open, plan)).rejects.toMatchObject({ code: 'SEAL_INVALID' });
});

test('what cannot be opened is told of by name, and the rest is sealed anew all the same', async () => {
  const [lost, old, next] = [generated(), generated(), generated()];
  const plan = await planFrom(old, next);
  const [shop, wiki] = plan.databases ?? [];
  const gone = await sealFor(publicHalf({ keys: [lost] }), infoOf('shop'), { password: 'x' });
  const failing = resealAll([next, old], { ...plan, databases: [{ ...shop!, secrets: gone }, wiki!] });
  await expect(failing).rejects.toMatchObject({
    code: 'SEAL_INVALID',
    message: expect.stringContaining('The database password of shop'),
    details: { kind: 'reseal', secrets: { keyId: next.keyId }, databases: [{ serviceId: wiki!.serviceId }] },
  });
});

test('a local server has passwords of databases alone', async () => {
  const [old, next] = [generated(), generated()];
  const plan = { ...(await planFrom(old, next)), host: null, port: null, secrets: null };
  expect(await resealAll([old], plan)).toMatchObject({ secrets: null, databases: [{}, {}] });
});
