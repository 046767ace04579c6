import { randomInt } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createRowWriter } from './copy-to-json.ts';
import { createRowReader } from './json-to-copy.ts';
import { linesOf } from './lines.ts';

const COLUMNS = [
  { name: 'id', type: 'integer' },
  { name: 'a "quoted"\tname', type: 'text' },
  { name: 'is', type: 'boolean' },
  { name: 'größe', type: 'jsonb' },
];
const HOSTILE = ['\\', '"', '\b\f\n\r\t\v', '\x01', '\x1f', '\x7f', '\\N', '\\.', '漢字', '😀', '/', 'u0041'];

/** As PostgreSQL's manual says of COPY's text format. */
const inCopy = (value: string | null): string =>
  value === null
    ? '\\N'
    : value
        .replaceAll('\\', '\\\\')
        .replaceAll('\b', '\\b')
        .replaceAll('\f', '\\f')
        .replaceAll('\n', '\\n')
        .replaceAll('\r', '\\r')
        .replaceAll('\t', '\\t')
        .replaceAll('\v', '\\v');

const pick = <T>(list: readonly T[]): T => list[randomInt(list.length)] as T;
const anyText = (): string => {
  const long = randomInt(50) === 0 ? 'x'.repeat(randomInt(300_000)) : '';
  return long + Array.from({ length: randomInt(8) }, () => pick([...HOSTILE, 'plain text'])).join('');
};

async function* cut(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; ) {
    const to = from + 1 + randomInt(randomInt(10) === 0 ? 600_000 : 3_000);
    yield bytes.subarray(from, to);
    from = to;
  }
}

async function through(bytes: Buffer, take: (lines: Buffer) => Buffer | Buffer[]): Promise<Buffer> {
  const made: Buffer[] = [];
  // What was given stays as it is while more is made.
  for await (const lines of linesOf(cut(bytes))) made.push(...[take(lines)].flat());
  return Buffer.concat(made);
}

test('rows of COPY become JSON with the same values, and the same rows again', async () => {
  const rows = Array.from({ length: 1_000 }, () => ({
    id: pick([null, 0, -2147483648, 2147483647]),
    'a "quoted"\tname': pick([null, '', anyText()]),
    is: pick([null, true, false]),
    größe: pick([null, anyText()]),
  }));
  const copied = rows
    .map((row) => {
      const is = row.is === null ? null : row.is ? 't' : 'f';
      const id = row.id === null ? null : String(row.id);
      return `${[id, row['a "quoted"\tname'], is, row.größe].map(inCopy).join('\t')}\n`;
    })
    .join('');
  const writer = createRowWriter(COLUMNS);
  const json = await through(Buffer.from(copied), writer.take);
  const lines = json.toString().split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.map((line) => JSON.parse(line))).toEqual(rows);
  // Nothing is escaped that need not be.
  expect(lines).toEqual(rows.map((row) => JSON.stringify(row)));
  const reader = createRowReader('rows', COLUMNS);
  expect((await through(json, reader.take)).equals(Buffer.from(copied))).toBe(true);
  expect([writer.rows, reader.rows]).toEqual([1_000, 1_000]);
});

test('rows without columns, and a last line without its end', async () => {
  const json = await through(Buffer.from('\n\n'), createRowWriter([]).take);
  expect(json.toString()).toBe('{}\n{}\n');
  expect((await through(Buffer.from('{}\n{}'), createRowReader('rows', []).take)).toString()).toBe('\n\n');
});

test('a row of psql with more or fewer fields is its fault', () => {
  for (const line of ['1\ta\tt\n', '1\ta\tt\t{}\tmore\n', '\n', 'psql: something else\n', '1\ta\tt\t{}']) {
    const take = (): unknown => createRowWriter(COLUMNS).take(Buffer.from(line));
    expect(take).toThrow(expect.objectContaining({ code: 'COMMAND_FAILED' }));
  }
});

test('what is no row as it was written is refused, with its line', () => {
  const columns = [
    { name: 'id', type: 'integer' },
    { name: 't', type: 'text' },
  ];
  const good = '{"id":1,"t":"x"}\n';
  const bad = [
    '',
    'not JSON',
    '{"id":1}',
    '{"id":1,"t":"x","more":1}',
    '{"t":"x","id":1}',
    '{"id":1,"t":"x"} ',
    '{"id":1,"t":"x',
    '{"id":1,"t":"a\tb"}',
    '{"id":1,"t":"\\q"}',
    '{"id":1,"t":"\\u0041"}',
    '{"id":1,"t":"\\u00"}',
    '{"id":-,"t":"x"}',
    '{"id":[1],"t":"x"}',
    '{"id":nul,"t":"x"}',
  ];
  for (const line of bad) {
    const take = (): unknown =>
      createRowReader('rows/a.jsonl', columns).take(Buffer.from(`${good}${line}\n`));
    expect(take).toThrow(
      expect.objectContaining({
        code: 'ARCHIVE_MALFORMED',
        message: expect.stringContaining('Line 2 of rows/a.jsonl'),
      }),
    );
  }
  expect(createRowReader('rows/a.jsonl', columns).take(Buffer.from(good)).toString()).toBe('1\tx\n');
});
