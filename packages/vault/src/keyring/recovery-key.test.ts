import { expect, test } from '@jest/globals';
import { formatRecoveryKey, parseRecoveryKey } from './recovery-key.ts';

const name = 'key-2026-11-21-0a1b2c';
const key = Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 37 + 11) & 0xff));
const text = formatRecoveryKey(name, key);
const groups = text.slice(text.lastIndexOf(':') + 1);
const canonical = (one: string): string => one.toUpperCase().replace(/O/g, '0').replace(/[IL]/g, '1');

test('a recovery key is the key, written to be copied by hand', () => {
  expect(text).toMatch(
    /^TARFLEET-1:key-2026-11-21-0a1b2c:([0-9A-HJKMNP-TV-Z]{4}-){13}[0-9A-HJKMNP-TV-Z]{4}$/,
  );
  expect(parseRecoveryKey(text)).toEqual({ name, key });
});

test('case, spaces, kinds of dashes and look-alike letters do not matter', () => {
  const printed = text.replaceAll('-', '\u2013');
  const spaced = `  ${text.replace(/:/g, ' : ').replaceAll('-', ' - ')}\n`;
  const wrapped = text.replace(groups, groups.replaceAll('-', '\n'));
  const alike = text.replace(groups, groups.replaceAll('0', 'O').replaceAll('1', 'l'));
  for (const typed of [text.toLowerCase(), text.toUpperCase(), printed, spaced, wrapped, alike])
    expect(parseRecoveryKey(typed)).toEqual({ name, key });
});

test('one character wrong, missing, doubled or two exchanged is found, and nothing of it is told', () => {
  const refused = (typed: string): void => {
    try {
      parseRecoveryKey(typed);
    } catch (error) {
      expect(error).toMatchObject({ name: 'EnvError' });
      expect((error as Error).message).not.toContain(groups.slice(0, 4));
      return;
    }
    throw new Error(`taken: ${typed}`);
  };
  const start = text.length - groups.length;
  for (let at = start; at < text.length; at += 1) {
    const here = text[at] ?? '';
    if (here === '-') continue;
    const [head, tail] = [text.slice(0, at), text.slice(at + 1)];
    for (const other of '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ?')
      if (canonical(other) !== here) refused(`${head}${other}${tail}`);
    refused(`${head}${tail}`);
    refused(`${head}${here}${here}${tail}`);
    const next = text.slice(at + 1).replaceAll('-', '')[0];
    if (next !== undefined && next !== here) {
      const skipped = tail.startsWith('-') ? 2 : 1;
      refused(`${head}${next}${tail.slice(0, skipped - 1)}${here}${text.slice(at + skipped + 1)}`);
    }
  }
  for (const typed of [
    '',
    groups,
    `TARFLEET-1:${groups}`,
    text.replace('TARFLEET-1', 'TARFLEET-2'),
    text.replace('0a1b2c', '0a1b2d'),
    text.replace(name, ''),
    `${text}:more`,
    `${text}0`,
    text.slice(0, -5),
  ])
    refused(typed);
});
