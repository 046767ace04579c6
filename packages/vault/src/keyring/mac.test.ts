import { createHmac, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { macMatches, macOf } from './mac.ts';

const dataKey = Buffer.alloc(32, 7);
const bytes = Buffer.from('{"backup":1}');
const hmac = (key: Buffer, content: Buffer): Buffer => createHmac('sha256', key).update(content).digest();

test('the MAC is HMAC-SHA256 under a key derived as RFC 5869 has it', () => {
  const extracted = hmac(Buffer.alloc(32), dataKey);
  const macKey = hmac(extracted, Buffer.concat([Buffer.from('tarfleet-manifest-mac'), Buffer.from([1])]));
  expect(macOf(dataKey, bytes)).toBe(hmac(macKey, bytes).toString('hex'));
});

test('only the same key and the same bytes match, in one spelling', () => {
  const mac = macOf(dataKey, bytes);
  expect(macMatches(dataKey, bytes, mac)).toBe(true);
  expect(macMatches(randomBytes(32), bytes, mac)).toBe(false);
  expect(macMatches(dataKey, Buffer.concat([bytes, Buffer.from(' ')]), mac)).toBe(false);
  for (let at = 0; at < mac.length; at += 1) {
    const other = mac[at] === '0' ? '1' : '0';
    expect(macMatches(dataKey, bytes, mac.slice(0, at) + other + mac.slice(at + 1))).toBe(false);
  }
  for (const wrong of ['', mac.slice(2), `${mac}zz`, `${mac}00`, `${mac.slice(0, -1)}z`, `${mac}\n`])
    expect(macMatches(dataKey, bytes, wrong)).toBe(false);
});
