import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { type SealedBox, ServerSecrets } from '@tarfleet/contracts';
import { generateApiKeys, generatePoolKeys, publicHalf } from './generate-keys.ts';
import { openSealed, openSealedObject, sealFor } from './seal.ts';
import { destinationSecretsInfo, serverSecretsInfo } from './seal-info.ts';

const pool = generatePoolKeys('default', generateApiKeys().signing);
const info = serverSecretsInfo({ projectId: 1, host: 'db1.example', port: 22 });
const secrets = { auth: { type: 'password', password: 'canary-7319' } } as const;

/**
 * A second implementation of HPKE's opening side (RFC 9180, 4.1 and 5.1, base mode, X25519 and HKDF-SHA256),
 * on node:crypto alone, so that the boxes are held against the standard and not against the library that made them.
 */
function openByHand(
  aead: { id: number; name: 'aes-128-gcm' | 'aes-256-gcm'; keyBytes: number },
  box: HandBox,
): Buffer {
  const extract = (salt: Buffer, ikm: Buffer): Buffer =>
    createHmac('sha256', salt.length > 0 ? salt : Buffer.alloc(32))
      .update(ikm)
      .digest();
  // HKDF-Expand alone: with one block of output it is one HMAC.
  const expand = (prk: Buffer, label: Buffer, length: number): Buffer =>
    createHmac('sha256', prk).update(label).update(Buffer.of(1)).digest().subarray(0, length);
  const kemId = Buffer.from('KEM\x00\x20', 'latin1');
  const suiteId = Buffer.from([...Buffer.from('HPKE'), 0, 0x20, 0, 1, 0, aead.id]);
  const labeledExtract = (suite: Buffer, salt: Buffer, label: string, ikm: Buffer): Buffer =>
    extract(salt, Buffer.concat([Buffer.from('HPKE-v1'), suite, Buffer.from(label), ikm]));
  const labeledExpand = (
    suite: Buffer,
    prk: Buffer,
    label: string,
    context: Buffer,
    length: number,
  ): Buffer =>
    expand(
      prk,
      Buffer.concat([Buffer.of(0, length), Buffer.from('HPKE-v1'), suite, Buffer.from(label), context]),
      length,
    );

  const jwk = { kty: 'OKP', crv: 'X25519' };
  const privateKey = createPrivateKey({
    key: { ...jwk, d: box.privateKey.toString('base64url'), x: box.publicKey.toString('base64url') },
    format: 'jwk',
  });
  const publicKey = createPublicKey({ key: { ...jwk, x: box.enc.toString('base64url') }, format: 'jwk' });
  const dh = diffieHellman({ privateKey, publicKey });
  const none = Buffer.alloc(0);
  const prk = labeledExtract(kemId, none, 'eae_prk', dh);
  const shared = labeledExpand(kemId, prk, 'shared_secret', Buffer.concat([box.enc, box.publicKey]), 32);
  const context = Buffer.concat([
    Buffer.of(0),
    labeledExtract(suiteId, none, 'psk_id_hash', none),
    labeledExtract(suiteId, none, 'info_hash', box.info),
  ]);
  const secret = labeledExtract(suiteId, shared, 'secret', none);
  const key = labeledExpand(suiteId, secret, 'key', context, aead.keyBytes);
  const nonce = labeledExpand(suiteId, secret, 'base_nonce', context, 12);
  const decipher = createDecipheriv(aead.name, key, nonce);
  decipher.setAAD(box.aad);
  decipher.setAuthTag(box.ct.subarray(-16));
  return Buffer.concat([decipher.update(box.ct.subarray(0, -16)), decipher.final()]);
}

interface HandBox {
  privateKey: Buffer;
  publicKey: Buffer;
  enc: Buffer;
  ct: Buffer;
  info: Buffer;
  aad: Buffer;
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

test('the second implementation opens the test vector of RFC 9180, A.1.1.1', () => {
  const plain = openByHand(
    { id: 1, name: 'aes-128-gcm', keyBytes: 16 },
    {
      privateKey: hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
      publicKey: hex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'),
      enc: hex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
      ct: hex('f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'),
      info: hex('4f6465206f6e2061204772656369616e2055726e'),
      aad: Buffer.from('Count-0'),
    },
  );
  expect(plain.toString()).toBe('Beauty is truth, truth beauty');
});

test('a sealed box is HPKE as RFC 9180 has it: the second implementation opens it', async () => {
  const [key] = pool.keys;
  const box = await sealFor(publicHalf(pool), info, secrets);
  const plain = openByHand(
    { id: 2, name: 'aes-256-gcm', keyBytes: 32 },
    {
      privateKey: Buffer.from(key?.privateKey ?? '', 'base64url'),
      publicKey: Buffer.from(key?.publicKey ?? '', 'base64url'),
      enc: Buffer.from(box.enc, 'base64url'),
      ct: Buffer.from(box.ct, 'base64url'),
      info: Buffer.from(info),
      aad: Buffer.alloc(0),
    },
  );
  expect(JSON.parse(plain.toString())).toEqual(secrets);
});

test('what is sealed opens again: an object, bytes, nothing at all', async () => {
  const to = publicHalf(pool);
  expect(await openSealedObject(pool.keys, info, await sealFor(to, info, secrets), ServerSecrets)).toEqual(
    secrets,
  );
  const bytes = Buffer.from([0, 255, 1, 254]);
  expect(await openSealed(pool.keys, info, await sealFor(to, info, bytes))).toEqual(bytes);
  expect(await openSealed(pool.keys, info, await sealFor(to, info, Buffer.alloc(0)))).toEqual(
    Buffer.alloc(0),
  );
});

test('the same secret sealed twice gives two boxes', async () => {
  const one = await sealFor(publicHalf(pool), info, secrets);
  const two = await sealFor(publicHalf(pool), info, secrets);
  expect(one.enc).not.toBe(two.enc);
  expect(one.ct).not.toBe(two.ct);
});

test('an older key of the pool still opens its boxes', async () => {
  const box = await sealFor(publicHalf(pool), info, secrets);
  const rotated = [...generatePoolKeys('default', []).keys, ...pool.keys];
  expect(JSON.parse((await openSealed(rotated, info, box)).toString())).toEqual(secrets);
});

test('a key that the pool does not hold is named', async () => {
  const other = generatePoolKeys('other', []);
  const box = await sealFor(publicHalf(other), info, secrets);
  await expect(openSealed(pool.keys, info, box)).rejects.toMatchObject({
    code: 'SEAL_INVALID',
    retryable: false,
    message: expect.stringContaining(box.keyId),
  });
});

test('the right key id on the wrong key does not open', async () => {
  const other = generatePoolKeys('other', []);
  const box = { ...(await sealFor(publicHalf(other), info, secrets)), keyId: publicHalf(pool).keyId };
  await expect(openSealed(pool.keys, info, box)).rejects.toMatchObject({ code: 'SEAL_INVALID' });
});

test('a box with any one byte altered, cut off or added does not open', async () => {
  const box = await sealFor(publicHalf(pool), info, secrets);
  const altered: SealedBox[] = [];
  for (const field of ['enc', 'ct'] as const) {
    const bytes = Buffer.from(box[field], 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 0x40;
      altered.push({ ...box, [field]: copy.toString('base64url') });
    }
    altered.push({ ...box, [field]: bytes.subarray(0, -1).toString('base64url') });
    altered.push({ ...box, [field]: '' });
    altered.push({ ...box, [field]: Buffer.concat([bytes, Buffer.of(0)]).toString('base64url') });
  }
  for (const one of altered) {
    await expect(openSealed(pool.keys, info, one)).rejects.toMatchObject({ code: 'SEAL_INVALID' });
  }
});

test('credentials do not open for another host, port, project, pool or destination', async () => {
  const place = { projectId: 1, host: 'db1.example', port: 22 };
  const box = await sealFor(publicHalf(pool), serverSecretsInfo(place), secrets);
  const id = '01890000-0000-7000-8000-000000000000';
  const others = [
    serverSecretsInfo({ ...place, host: 'evil.example' }),
    serverSecretsInfo({ ...place, port: 2222 }),
    serverSecretsInfo({ ...place, projectId: 2 }),
    serverSecretsInfo({ projectId: 1, host: 'db1.example",22', port: 22 }),
    destinationSecretsInfo({ destinationId: id, pool: 'default' }),
    '',
  ];
  for (const other of others) {
    await expect(openSealed(pool.keys, other, box)).rejects.toMatchObject({ code: 'SEAL_INVALID' });
  }
  expect(serverSecretsInfo({ ...place, host: 'DB1.Example' })).toBe(info);
  expect(destinationSecretsInfo({ destinationId: id, pool: 'a' })).not.toBe(
    destinationSecretsInfo({ destinationId: id, pool: 'b' }),
  );
});

test('a box whose content has another form is refused without showing it', async () => {
  for (const content of [Buffer.from('canary-7319 is not JSON'), { canary: 'canary-7319' }]) {
    const box = await sealFor(publicHalf(pool), info, content);
    const failure = await openSealedObject(pool.keys, info, box, ServerSecrets).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'SEAL_INVALID' });
    expect(String((failure as Error).stack) + String((failure as Error).cause)).not.toContain('canary-7319');
  }
});
