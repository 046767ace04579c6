import type { SourceWarning } from '../../types.ts';
import { unquote } from '../unquote.ts';

/** GNU tar's words about one file (1.29 to 1.35, `--quoting-style=c`, LC_ALL=C), and what they mean to us. */
const KINDS: [RegExp, string, string][] = [
  [
    /^file changed as we read it$/,
    'FILE_CHANGED',
    'changed while it was read: its content may be of several moments',
  ],
  [
    /^File shrank by (\d+) bytes?; padding with zeros$/,
    'FILE_SHRANK',
    'became shorter while it was read: its end is filled with zeros',
  ],
  [
    /^File removed before we read it$/,
    'FILE_VANISHED',
    'was removed before it was read: the backup does not hold it',
  ],
  [
    /^(Warning: )?Cannot (stat|open|read|readlink|opendir|savedir): No such file or directory$/,
    'FILE_VANISHED',
    'was removed before it was read: the backup does not hold it',
  ],
  [
    /^(Warning: )?Cannot (stat|open|readlink|opendir|savedir): (.*)$/,
    'FILE_UNREADABLE',
    'cannot be read: the backup does not hold it',
  ],
  [
    /^(Warning: )?(Read error at byte \d+.*|Cannot (read|seek).*)$/,
    'FILE_UNREADABLE',
    'could not be read to its end: its end is filled with zeros',
  ],
  [
    /^(Warning: )?Cannot (llistxattrat|lgetxattrat|listxattr|getxattr|flistxattr|fgetxattr|acl_get_file_at|acl_get_file).*$/,
    'ATTRIBUTES_UNREADABLE',
    'has extended attributes that cannot be read',
  ],
  [/^file is unchanged; not dumped$/, 'FILE_VANISHED', 'was not read'],
  [
    /^(socket ignored|Unknown file type; file ignored)$/,
    'KIND_SKIPPED',
    'is of a kind that no archive can hold',
  ],
];

/** Said after others, about nothing in particular. */
const SUMMARY =
  /^tar: (Exiting with failure status due to previous errors|Error exit delayed from previous errors\.?)$/;

/** What tar printed, as a warning about one file; `summary` for its closing words; null for anything else. */
export function readTarMessage(line: string): SourceWarning | 'summary' | null {
  if (SUMMARY.test(line) || line === '') return 'summary';
  const found = /^tar: "((?:[^"\\]|\\.)*)": (.*)$/.exec(line) ?? /^tar: ([^":]+): (.*)$/.exec(line);
  if (!found) return null;
  const [, name = '', words = ''] = found;
  const kind = KINDS.find(([pattern]) => pattern.test(words));
  if (!kind) return null;
  const path = Buffer.concat([Buffer.from('/'), unquote(name)]);
  return { code: kind[1], message: `${path.toString()} ${kind[2]}.`, path };
}
