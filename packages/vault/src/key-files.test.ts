import { expect, test } from '@jest/globals';
import { generateApiKeys, generatePoolKeys, publicHalf } from './generate-keys.ts';
import { parseApiKeys, parsePoolKeys, parsePools } from './key-files.ts';

const api = generateApiKeys();
const pool = generatePoolKeys('eu-1', api.signing);

test('generated keys pass through their files', () => {
  expect(parseApiKeys(JSON.stringify(api))).toEqual(api);
  expect(parsePoolKeys(JSON.stringify(pool, null, 2))).toEqual(pool);
  const pools = { v: 1, pools: { 'eu-1': { current: publicHalf(pool) } } };
  expect(parsePools(JSON.stringify(pools))).toEqual(pools);
  expect(Buffer.from(api.jwtSecret, 'base64url')).toHaveLength(32);
});

test("a pool's file holds no private half of the API's signing keys", () => {
  expect(JSON.stringify(pool)).not.toContain(api.signing[0]?.privateKey);
  expect(Object.keys(publicHalf(pool))).toEqual(['keyId', 'publicKey']);
});

const [signing] = api.signing;
const [own] = pool.keys;
const unusable: [string, () => unknown, RegExp][] = [
  ['not JSON', () => parseApiKeys(`{"jwtSecret": "${api.jwtSecret}"`), /not JSON/],
  ['empty', () => parsePools(''), /not JSON/],
  ['null', () => parsePools('null'), /not usable/],
  ['another version', () => parseApiKeys(JSON.stringify({ ...api, v: 2 })), /version 2.*version 1/],
  ['no signing key', () => parseApiKeys(JSON.stringify({ ...api, signing: [] })), /\/signing/],
  ['an unknown field', () => parseApiKeys(JSON.stringify({ ...api, jwt: 1 })), /not usable/],
  [
    'a short key',
    () => parseApiKeys(JSON.stringify({ ...api, box: [{ keyId: 'a', key: 'QUJD' }] })),
    /\/box\/0\/key/,
  ],
  [
    'a key id with a dot',
    () => parseApiKeys(JSON.stringify({ ...api, box: [{ ...api.box[0], keyId: 'a.b' }] })),
    /keyId/,
  ],
  ['a key id twice', () => parseApiKeys(JSON.stringify({ ...api, box: [api.box[0], api.box[0]] })), /twice/],
  [
    'halves of two signing keys',
    () =>
      parseApiKeys(
        JSON.stringify({
          ...api,
          signing: [{ ...signing, publicKey: generateApiKeys().signing[0]?.publicKey }],
        }),
      ),
    /do not belong together/,
  ],
  [
    'halves of two pool keys',
    () =>
      parsePoolKeys(
        JSON.stringify({
          ...pool,
          keys: [{ ...own, publicKey: generatePoolKeys('x', []).keys[0]?.publicKey }],
        }),
      ),
    /do not belong together/,
  ],
  ['no signers', () => parsePoolKeys(JSON.stringify({ ...pool, signers: [] })), /\/signers/],
  ['a pool name in capitals', () => parsePoolKeys(JSON.stringify({ ...pool, pool: 'EU' })), /\/pool/],
  [
    'pools.json: a bad pool name',
    () => parsePools(JSON.stringify({ v: 1, pools: { 'E U': { current: publicHalf(pool) } } })),
    /not usable/,
  ],
];

test.each(unusable)('a key file is refused, without its keys: %s', (_name, parse, pattern) => {
  let message = '';
  try {
    parse();
  } catch (error) {
    message = `${(error as Error).name}: ${(error as Error).message}`;
  }
  expect(message).toMatch(/^EnvError: /);
  expect(message).toMatch(pattern);
  for (const secret of [api.jwtSecret, signing?.privateKey, own?.privateKey, api.box[0]?.key]) {
    expect(message).not.toContain(secret?.slice(0, 12));
  }
});
