import { expect, test } from '@jest/globals';
import { generateApiKeys } from './generate-keys.ts';
import { createSecretBox } from './secret-box.ts';

const { box: keys } = generateApiKeys();
const secret = { accessKeyId: 'AK', secretAccessKey: 'canary-5521' };

test('a stored secret opens again, and only for what it belongs to', () => {
  const box = createSecretBox(keys);
  const sealed = box.seal('destination:1', secret);
  expect(sealed).not.toContain('canary');
  expect(box.open('destination:1', sealed)).toEqual(secret);
  expect(() => box.open('destination:2', sealed)).toThrow(expect.objectContaining({ code: 'SEAL_INVALID' }));
});

test('the same secret is never stored as the same text', () => {
  const box = createSecretBox(keys);
  expect(box.seal('a', secret)).not.toBe(box.seal('a', secret));
});

test('a new first key seals, the old one still opens, and a lost one is named', () => {
  const old = createSecretBox(keys).seal('a', secret);
  const next = generateApiKeys().box;
  const rotated = createSecretBox([...next, ...keys]);
  expect(rotated.open('a', old)).toEqual(secret);
  expect(rotated.seal('a', secret)).toContain(`.${next[0]?.keyId}.`);
  expect(() => createSecretBox(next).open('a', old)).toThrow(
    expect.objectContaining({
      code: 'SEAL_INVALID',
      message: expect.stringContaining(keys[0]?.keyId ?? '?'),
    }),
  );
});

test('any one character altered, removed or added is refused', () => {
  const box = createSecretBox(keys);
  const sealed = box.seal('a', secret);
  for (let at = 0; at < sealed.length; at += 1) {
    const other = sealed[at] === 'A' ? 'B' : 'A';
    const altered = [
      sealed.slice(0, at) + other + sealed.slice(at + 1),
      sealed.slice(0, at) + sealed.slice(at + 1),
      `${sealed.slice(0, at)}.${sealed.slice(at)}`,
    ];
    for (const text of altered.filter((one) => one !== sealed)) {
      expect(() => box.open('a', text)).toThrow(expect.objectContaining({ code: 'SEAL_INVALID' }));
    }
  }
  for (const text of ['', 'v1', 'v2.a.b', `v1.${keys[0]?.keyId}.`, `v1.${keys[0]?.keyId}.AAAA`]) {
    expect(() => box.open('a', text)).toThrow(expect.objectContaining({ code: 'SEAL_INVALID' }));
  }
});
