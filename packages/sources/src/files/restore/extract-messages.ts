import type { SourceWarning } from '../../types.ts';
import { unquote } from '../unquote.ts';

/** GNU tar's words about one entry that it extracts (1.29 to 1.35), and what they mean to us. */
const KINDS: [RegExp, string, string][] = [
  [
    /^Cannot change ownership to uid \d+, gid \d+: (Operation not permitted|Invalid argument)$/,
    'OWNER_NOT_RESTORED',
    'cannot be given its owner: this user may not. Connect as root, or with sudo, to restore owners',
  ],
  [
    /^Cannot mknod: Operation not permitted$/,
    'NODE_NOT_RESTORED',
    'is a device, which this user may not make: it was not restored',
  ],
  [
    /^(Warning: )?Cannot \w*(acl|xattr|filecon)\w*.*$/,
    'ATTRIBUTES_NOT_RESTORED',
    'did not get back all of its extended attributes',
  ],
  [/^Not found in archive$/, 'PATH_NOT_FOUND', 'is not in the archive'],
];

/** Of no consequence for what is on the disk. */
const NOTHING =
  /^tar: (Exiting with failure status due to previous errors|Error exit delayed from previous errors\.?|Ignoring unknown extended header keyword .*|.*: (time stamp .* in the future|implausibly old time stamp .*))$/;

/** What tar printed, as a warning about one entry; `nothing` for what means nothing; null for anything else. */
export function readExtractMessage(line: string): SourceWarning | 'nothing' | null {
  if (line === '' || NOTHING.test(line)) return 'nothing';
  const about = /^tar: "((?:[^"\\]|\\.)*)": (.*)$/.exec(line) ?? /^tar: (.*?): (.*)$/.exec(line);
  const xattr =
    /^tar: (?:setxattrat|lsetxattr|setxattr|fsetxattr): Cannot set '.*' extended attribute for file '(.*)': .*$/.exec(
      line,
    );
  const [name, words] = xattr ? [xattr[1], 'Cannot setxattr'] : [about?.[1], about?.[2]];
  if (name === undefined || words === undefined) return null;
  const kind = KINDS.find(([pattern]) => pattern.test(words));
  if (!kind) return null;
  const path = Buffer.concat([Buffer.from('/'), unquote(name)]);
  return { code: kind[1], message: `${path.toString()} ${kind[2]}.`, path };
}
