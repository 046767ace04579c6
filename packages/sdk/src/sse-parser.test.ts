import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSseParser, type SseEvent } from './sse-parser.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (text: string, lastEventId?: string): SseEvent[] =>
  createSseParser(lastEventId).push(encode(text));
const one = (data: string, type = 'message', lastEventId = ''): SseEvent => ({ type, data, lastEventId });

// The first four are the examples of the standard.
test.each<[string, string, SseEvent[]]>([
  ['data of several lines', 'data: YHOO\ndata: +2\ndata: 10\n\n', [one('YHOO\n+2\n10')]],
  [
    'a comment, an id, an id that is taken back, a leading space that belongs to the data',
    ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
    [one('first event', 'message', '1'), one('second event'), one(' third event')],
  ],
  [
    'data without a value; what the end cuts off is no event',
    'data\n\ndata\ndata\n\ndata:',
    [one(''), one('\n')],
  ],
  ['with and without a space', 'data:test\n\ndata: test\n\n', [one('test'), one('test')]],
  ['CRLF', 'event: step\r\ndata: a\r\ndata: b\r\n\r\n', [one('a\nb', 'step')]],
  ['CR alone', 'event: step\rdata: a\r\r', [one('a', 'step')]],
  ['all three', 'data: a\r\ndata: b\rdata: c\n\r\n', [one('a\nb\nc')]],
  ['a byte order mark, at the beginning alone', '\uFEFFdata: a\n\n\uFEFFdata: b\n\n', [one('a')]],
  [
    'an event without data is none, and its type is not the next one’s',
    'event: x\n\ndata: a\n\n',
    [one('a')],
  ],
  [
    'an id stays until there is another',
    'id: 7\n\ndata: a\n\ndata: b\n\n',
    [one('a', 'message', '7'), one('b', 'message', '7')],
  ],
  ['an id with a NUL is none', 'id: 7\nid: 8\0\ndata: a\n\n', [one('a', 'message', '7')]],
  ['fields that nobody knows', 'datum: x\ndata: a\nDATA: b\n\n', [one('a')]],
  ['a colon in the value', 'data: a: b:c\n\n', [one('a: b:c')]],
])('%s', (_name, text, events) => expect(read(text)).toEqual(events));

test('an id of the stream before stands until there is another', () => {
  expect(read('data: a\n\nid: 9\ndata: b\n\n', '4')).toEqual([
    one('a', 'message', '4'),
    one('b', 'message', '9'),
  ]);
});

test('the pause before the next stream is a number, or nothing', () => {
  const parser = createSseParser();
  parser.push(encode('retry: soon\n\n'));
  expect(parser.retryMs).toBeNull();
  parser.push(encode('retry: 250\n\nretry: -1\nretry:1e3\n'));
  expect(parser.retryMs).toBe(250);
});

test('what never ends is an error and does not fill the memory', () => {
  const endless = createSseParser();
  const megabyte = new Uint8Array(1 << 20).fill(0x61);
  expect(() => {
    endless.push(megabyte);
    endless.push(megabyte);
  }).toThrow(RangeError);
  const lines = createSseParser();
  expect(() => {
    for (let n = 0; n < 3_000; n += 1) lines.push(encode(`data: ${'a'.repeat(1_000)}\n`));
  }).toThrow(RangeError);
  const many = createSseParser();
  for (let n = 0; n < 3_000; n += 1) many.push(encode(`data: ${'a'.repeat(1_000)}\n\n`));
});

test('wherever the bytes are cut, the events are the same', () => {
  const line = fc.oneof(
    fc.constantFrom('', 'data', 'data:', 'id: 3', 'id', 'event: step', ': note', 'retry: 5'),
    fc
      .string({ unit: fc.constantFrom('a', 'ü', '€', '😀', ':', ' '), maxLength: 6 })
      .map((text) => `data: ${text}`),
  );
  const text = fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 20 })
    .map((lines) => lines.flat().join(''));
  fc.assert(
    fc.property(text, fc.array(fc.nat(60), { maxLength: 10 }), fc.boolean(), (body, cuts, marked) => {
      const bytes = encode((marked ? '\uFEFF' : '') + body);
      const places = [...new Set(cuts.filter((at) => at < bytes.length))].sort((a, b) => a - b);
      const whole = createSseParser().push(bytes);
      const parser = createSseParser();
      const pieces = [0, ...places].map((from, n) => bytes.subarray(from, places[n] ?? bytes.length));
      expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});
