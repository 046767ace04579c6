import { expect, test } from '@jest/globals';
import { asAttachment, ownName, plainName } from './file-name.ts';

test.each([
  ['nightly', 'attachment; filename="nightly"'],
  [
    'Ünï/.."日本; x',
    `attachment; filename="n-..-x"; filename*=UTF-8''%C3%9Cn%C3%AF-..%22%E6%97%A5%E6%9C%AC%3B%20x`,
  ],
  ["it's (1)*", `attachment; filename="it-s-1"; filename*=UTF-8''it%27s%20%281%29%2A`],
])('a file named %s', (name, header) => {
  expect(asAttachment(plainName(name), ownName(name))).toBe(header);
});

test('a name leads nowhere, breaks no header, and is cut between characters', () => {
  expect(ownName('../../etc/passwd')).toBe('etc-passwd');
  expect(ownName('a\r\nSet-Cookie: x\u0000\ud800')).toBe('a-Set-Cookie: x');
  expect(ownName('😀'.repeat(100))).toBe('😀'.repeat(80));
});
