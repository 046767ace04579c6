import type { SourceWarning } from '../../types.ts';
import { show } from '../paths.ts';
import { unquote } from '../unquote.ts';

interface Kind {
  pattern: RegExp;
  code: string;
  means: string;
}

const GONE = 'No such file or directory|Not a directory';
const ATTRIBUTE_CALLS = '[fl]*(?:listxattr|getxattr)(?:at)?|acl_get_\\w+|getfilecon\\w*';

/** GNU tar's words about one file while it reads (1.26 to 1.35, LC_ALL=C), and what they mean. The first that fits. */
const KINDS: Kind[] = [
  {
    pattern: /^file changed as we read it$/,
    code: 'FILE_CHANGED',
    means: 'changed while it was read; what the backup holds of it may be of several moments',
  },
  {
    pattern: /^File shrank by \d+ bytes?; padding with zeros$/,
    code: 'FILE_SHRANK',
    means: 'became shorter while it was read; its end is filled with zeros in the backup',
  },
  {
    pattern: new RegExp(`^File removed before we read it$|^(?:Warning: )?Cannot \\w+: (?:${GONE})$`),
    code: 'FILE_VANISHED',
    means: 'was removed before it was read; the backup does not hold it',
  },
  {
    pattern: new RegExp(`^(?:Warning: )?Cannot (?:${ATTRIBUTE_CALLS}): `),
    code: 'ATTRIBUTES_UNREADABLE',
    means: 'has extended attributes or ACLs that could not be read; the backup lacks them',
  },
  {
    pattern: /^(?:Warning: )?(?:Read error at byte \d+|Cannot (?:read|l?seek): )/,
    code: 'FILE_UNREADABLE',
    means: 'could not be read to its end; the rest is filled with zeros in the backup',
  },
  {
    pattern: /^(?:Warning: )?Cannot (?:open|f?stat\w*|readlink\w*|opendir|fdopendir|readdir|savedir|close): /,
    code: 'FILE_UNREADABLE',
    means: 'could not be read; the backup does not hold it',
  },
  {
    pattern: /^(?:socket ignored|door ignored|Unknown file type; file ignored)$/,
    code: 'KIND_SKIPPED',
    means: 'is of a kind that no archive can hold; the backup does not hold it',
  },
];

/** Said after others, about nothing in particular. */
const SUMMARY = /^tar: (?:Exiting with failure status due to previous errors|Error exit delayed)/;

/** A line of tar's stderr as a warning about one file; `summary` for its closing words; null for anything else. */
export function readTarMessage(line: string): SourceWarning | 'summary' | null {
  if (SUMMARY.test(line)) return 'summary';
  // The name stands in quotes, with C's escapes (`--quoting-style=c`): nothing in it can be taken for the words.
  const found = /^tar: "((?:[^"\\]|\\.)*)": (.*)$/.exec(line);
  const [, name, words = ''] = found ?? [];
  const kind = KINDS.find(({ pattern }) => pattern.test(words));
  if (name === undefined || !kind) return null;
  const path = Buffer.concat([Buffer.from('/'), unquote(name)]);
  const cause = / ([A-Z][^:]*)$/.exec(words.slice(words.indexOf(': ') + 1))?.[1];
  const because = kind.code.endsWith('UNREADABLE') && cause ? ` (${cause})` : '';
  return { code: kind.code, message: `${show(path)} ${kind.means}${because}.`, path };
}
