// A list that Tarfleet makes itself leaves out what GNU find would have left out.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { globTest } from './glob.ts';

const run = promisify(execFile);
const NAMES = [
  ...[
    'a',
    'b',
    'c',
    'ab',
    'abc',
    'A',
    'Z',
    '0',
    '9',
    'a1',
    '.a',
    '..a',
    '-',
    '!',
    '^',
    '[',
    ']',
    '[a]',
    '[]',
  ],
  ...[
    '*',
    '?',
    '\\',
    'a*',
    'a?',
    'a\\',
    '\\a',
    'a-b',
    'a]b',
    'a.b',
    'a b',
    ' ',
    '\t',
    '\n',
    'a\nb',
    '\x01',
    '\x7f',
  ],
  ...[
    '{a,b}',
    '$a',
    '(a)',
    '|',
    '+',
    'a+',
    'aa',
    'aaa',
    '~',
    '_',
    ':',
    'alpha',
    '[:alpha:]',
    '[a[:none:]b]',
    '[![:none:]]',
    'é',
    'e\u0301',
    '日本',
  ],
  ...['d/a', 'd/.a', 'd/e/a', 'd/e/f/ab', '.h/a', 'x.log', 'd/x.log', '%', '=', '.'.repeat(3)],
].map((name) => Buffer.from(name));
// Not UTF-8.
NAMES.push(Buffer.from([0xff]), Buffer.from([0x61, 0xe9, 0x62]), Buffer.from([0xc3]));

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-glob-'));
  for (const name of NAMES) {
    const path = Buffer.concat([Buffer.from(`${dir}/`), name]);
    await mkdir(path.subarray(0, path.lastIndexOf(0x2f)), { recursive: true });
    await writeFile(path, '');
  }
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** For each pattern the paths below the folder that GNU find takes for it, as `./name` with a character a byte. */
async function byFind(patterns: readonly string[]): Promise<string[][]> {
  const tests = patterns.flatMap((pattern, at) => [
    ...(at > 0 ? [','] : []),
    ...['(', '-path', pattern, '-printf', `${at}\\0%p\\0`, ')'],
  ]);
  // As every command on a server has it.
  const options = {
    cwd: dir,
    env: { ...process.env, LC_ALL: 'C' },
    encoding: 'latin1' as const,
    maxBuffer: 1 << 28,
  };
  const { stdout } = await run('find', ['.', '-mindepth', '1', ...tests], options);
  const found: string[][] = patterns.map(() => []);
  const words = stdout.split('\0');
  for (let at = 0; at + 1 < words.length; at += 2) found[Number(words[at])]?.push(words[at + 1] ?? '');
  return found;
}

async function expectSame(patterns: readonly string[]): Promise<void> {
  const anchored = patterns.map((pattern) => `./${pattern}`);
  const paths = (await byFind(['*']))[0] ?? [];
  expect(paths.length).toBeGreaterThan(NAMES.length);
  for (const [at, found] of (await byFind(anchored)).entries()) {
    const matches = globTest(anchored[at] ?? '');
    expect([patterns[at], paths.filter(matches).sort()]).toEqual([patterns[at], found.sort()]);
  }
}

test('each kind of pattern matches what it matches in find', async () => {
  await expectSame([
    ...[
      '*',
      '**',
      '?',
      '??',
      '*a',
      'a*',
      '*a*',
      '?a',
      'd/*',
      'd/*/a',
      '*/a',
      '.*',
      '*.log',
      'a',
      'abc',
      'nothing',
      '',
    ],
    // Sets: members, ranges, and what ends them.
    ...[
      '[ab]',
      '[!ab]',
      '[^ab]',
      '[a-c]',
      '[!a-c]',
      '[c-a]',
      '[]]',
      '[!]]',
      '[]a]',
      '[a-]',
      '[-a]',
      '[!-]',
      '[a',
      '[',
      '[]',
      '[!',
    ],
    ...[
      '[a-b-c]',
      '[--a]',
      '[ -~]',
      '[\\]]',
      '[\\a]',
      '[a\\]',
      '[\\',
      '[a\\-c]',
      '[*]',
      '[?]',
      '[[]',
      '[[]a]',
      '[/]',
      'd[/]a',
      '[!x]a',
    ],
    // Classes.
    ...[
      '[[:alpha:]]',
      '[![:alpha:]]',
      '[[:digit:][:upper:]]',
      '[[:space:]]',
      '[[:punct:]]',
      '[[:cntrl:]]',
      '[[:print:]]',
    ],
    ...[
      '[[:graph:]]',
      '[[:blank:]]',
      '[[:xdigit:]]',
      '[[:lower:]]',
      '[[:alnum:]_]',
      '[[:alpha:]',
      '[:alpha:]',
    ],
    // Escapes.
    ...['\\*', '\\?', '\\[', '\\\\', '\\a', 'a\\*', '[a]', '\\[a]', '\\[a\\]', '\\.a'],
    // What an expression would take for more than itself, and what is not ASCII.
    ...[
      'a.b',
      '(a)',
      '{a,b}',
      '$a',
      '^',
      '|',
      '+',
      'a+',
      '.',
      '..a',
      '\n',
      'a\nb',
      'é',
      '?́',
      '[é]',
      '日?',
      '日*',
      '[日]*',
    ],
  ]);
});

/** Patterns as people write them; what else brackets may hold, fnmatch itself reads in one way here and another there. */
const plain = fc.constantFrom(...'abcA09.!^{}()|+$ \n', 'é', '日');
const member = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...'abcA09.?*!^/ \n', 'é') },
  fc.tuple(fc.constantFrom(...'aA0 c'), fc.constantFrom(...'bZ9~a')).map(([low, high]) => `${low}-${high}`),
  fc.constantFrom('[:alpha:]', '[:digit:]', '[:punct:]', '[:space:]', '\\]', '\\[', '\\\\', '\\-'),
);
const set = fc
  .tuple(
    fc.constantFrom('', '!', '^'),
    fc.constantFrom('', ']'),
    fc.array(member, { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '-'),
  )
  .map(([not, first, members, last]) => `[${not}${first}${members.join('')}${last}]`);
const piece = fc.oneof(
  { weight: 4, arbitrary: plain },
  { weight: 2, arbitrary: fc.constantFrom('*', '?', '/', '-', ']') },
  fc.constantFrom('\\*', '\\?', '\\[', '\\]', '\\\\', '\\a'),
  { weight: 3, arbitrary: set },
);
const pattern = fc
  .tuple(fc.array(piece, { maxLength: 5 }), fc.constantFrom('', '', '', '[', '[a', '[!b-', '\\'))
  .map(([pieces, end]) => pieces.join('') + end);

test('so does any other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(pattern, { minLength: 200, maxLength: 200 }), (patterns) =>
      expectSame(patterns),
    ),
    { numRuns: 50, endOnFailure: true },
  );
});
