import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { matchesTag, parseRange } from './range.ts';
import { TAR_END_BYTES, tarHeader } from './tar-header.ts';

test.each<[string | undefined, ReturnType<typeof parseRange>]>([
  [undefined, null],
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=10-', { first: 10, last: 99 }],
  ['bytes=10-500', { first: 10, last: 99 }],
  ['bytes=-10', { first: 90, last: 99 }],
  ['bytes=-500', { first: 0, last: 99 }],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=99999999999999999999-', 'unsatisfiable'],
  ['bytes=90-99999999999999999999', { first: 90, last: 99 }],
  // What cannot be read, and what asks for several parts, is as if it were not there.
  ...['bytes=-', 'bytes=9-5', 'bytes=0-1,5-6', 'lines=0-1', 'bytes=0x1-2', 'bytes= a-'].map(
    (header): [string, null] => [header, null],
  ),
])('of 100 bytes, %s', (header, range) => {
  expect(parseRange(header, 100)).toEqual(range);
});

test('nothing of nothing can be asked for', () => {
  expect([parseRange('bytes=0-', 0), parseRange('bytes=-1', 0)]).toEqual(['unsatisfiable', 'unsatisfiable']);
});

test('tags are compared without heed to their weakness', () => {
  expect(['"a"', 'W/"a"', '"b", "a"', '*'].map((header) => matchesTag(header, '"a"'))).toEqual(
    Array(4).fill(true),
  );
  expect([undefined, '"b"', 'a'].map((header) => matchesTag(header, '"a"'))).toEqual(Array(3).fill(false));
});

test.each([0, 511, 8 ** 11 - 1, 8 ** 11, 5 * 1024 ** 4])('tar reads a header of %d bytes', (bytes) => {
  const path = `project-2147483647/2026-01-02/${'a'.repeat(36)}/${'b'.repeat(36)}/1001-${'c'.repeat(12)}.tar.gz`;
  const input = Buffer.concat([tarHeader(path, bytes, new Date(86_400_000)), Buffer.alloc(TAR_END_BYTES)]);
  // What follows is not there, which tar says after it has read the header.
  const listed = execFileSync('sh', ['-c', 'TZ=UTC tar tvf - 2>/dev/null || true'], {
    input,
    encoding: 'utf8',
  });
  expect(listed.trim().replace(/ +/g, ' ')).toBe(`-rw------- 0/0 ${bytes} 1970-01-02 00:00 ${path}`);
});

test('a path that does not fit is never cut', () => {
  expect(() => tarHeader(`${'a'.repeat(156)}/b`, 1, new Date())).toThrow('too long');
  expect(() => tarHeader(`a/${'b'.repeat(101)}`, 1, new Date())).toThrow('too long');
});
