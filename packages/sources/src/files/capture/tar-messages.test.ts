import { expect, test } from '@jest/globals';
import { readTarMessage } from './tar-messages.ts';

test.each([
  ['tar: "etc/x": file changed as we read it', 'FILE_CHANGED', '/etc/x'],
  ['tar: "x": File shrank by 1 byte; padding with zeros', 'FILE_SHRANK', '/x'],
  ['tar: "x": File shrank by 512 bytes; padding with zeros', 'FILE_SHRANK', '/x'],
  ['tar: "x": File removed before we read it', 'FILE_VANISHED', '/x'],
  ['tar: "x": Warning: Cannot stat: No such file or directory', 'FILE_VANISHED', '/x'],
  ['tar: "x/y": Warning: Cannot stat: Not a directory', 'FILE_VANISHED', '/x/y'],
  ['tar: "x": Cannot open: Permission denied', 'FILE_UNREADABLE', '/x'],
  ['tar: "x": Warning: Cannot stat: File name too long', 'FILE_UNREADABLE', '/x'],
  [
    'tar: "x": Warning: Read error at byte 0, while reading 512 bytes: Input/output error',
    'FILE_UNREADABLE',
    '/x',
  ],
  ['tar: "x": Warning: Cannot llistxattrat: Permission denied', 'ATTRIBUTES_UNREADABLE', '/x'],
  ['tar: "x": socket ignored', 'KIND_SKIPPED', '/x'],
  ['tar: "a\\nb\\"c\\\\ \\351": Cannot open: Permission denied', 'FILE_UNREADABLE', '/a\nb"c\\ \xe9'],
  ['tar: "a\\": Cannot open: b": file changed as we read it', 'FILE_CHANGED', '/a": Cannot open: b'],
])('%s', (line, code, path) => {
  const message = readTarMessage(line);
  expect(message).toMatchObject({ code });
  expect(message === 'summary' ? '' : message?.path?.toString('latin1')).toBe(path);
});

test.each([
  ['tar: Exiting with failure status due to previous errors', 'summary'],
  ['tar: "-": Cannot write: No space left on device', null],
  ['tar: Error is not recoverable: exiting now', null],
  ['tar: Unexpected EOF in archive', null],
  ['tar: x: Cannot open: Permission denied', null],
  ['Connection will be logged', null],
])('%s is about no file', (line, meaning) => {
  expect(readTarMessage(line)).toBe(meaning);
});
