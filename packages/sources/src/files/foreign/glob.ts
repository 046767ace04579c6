/**
 * A pattern of the shell as a test of bytes, given as one character each: fnmatch(3) without flags, in the C locale,
 * so that `*` matches a slash and a leading dot as well. For lists that are not made by `find`.
 */
export function globTest(pattern: string): (text: string) => boolean {
  const glob = Buffer.from(pattern, 'utf8').toString('latin1');
  let source = '';
  for (let at = 0; at < glob.length; ) {
    const char = glob[at] ?? '';
    const set = char === '[' ? readSet(glob, at) : null;
    if (set) source += set.source;
    else if (char === '*') source += source.endsWith('.*') ? '' : '.*';
    else if (char === '?') source += '.';
    else source += inSet(char === '\\' && at + 1 < glob.length ? (glob[at + 1] ?? '') : char);
    at = set ? set.end : at + (char === '\\' && at + 1 < glob.length ? 2 : 1);
  }
  const expression = new RegExp(`^${source}$`, 's');
  return (text) => expression.test(text);
}

const CLASSES: Record<string, string> = {
  ...{ alpha: 'A-Za-z', digit: '0-9', alnum: 'A-Za-z0-9', upper: 'A-Z', lower: 'a-z', xdigit: '0-9A-Fa-f' },
  ...{ space: ' \\t-\\r', blank: ' \\t', cntrl: '\\x00-\\x1f\\x7f', print: ' -~', graph: '!-~' },
  punct: '!-\\/:-@\\[-`{-~',
};

/** A set in brackets; null when none ends, and the bracket stands for itself. */
function readSet(glob: string, start: number): { source: string; end: number } | null {
  let at = start + 1;
  const not = glob[at] === '!' || glob[at] === '^';
  if (not) at += 1;
  let source = '';
  for (let first = true; at < glob.length; first = false) {
    const char = glob[at] ?? '';
    if (char === ']' && !first) return { source: `[${not ? '^' : ''}${source}]`, end: at + 1 };
    const named = /^\[:([a-z]+):\]/.exec(glob.slice(at));
    if (named?.[1] && CLASSES[named[1]]) {
      source += CLASSES[named[1]];
      at += named[0].length;
      continue;
    }
    const [low, after] = readMember(glob, at);
    const [high, end] =
      glob[after] === '-' && after + 1 < glob.length && glob[after + 1] !== ']'
        ? readMember(glob, after + 1)
        : [low, after];
    // A range that runs backwards holds nothing.
    if (low <= high) source += `${inSet(low)}-${inSet(high)}`;
    at = end;
  }
  return null;
}

function readMember(glob: string, at: number): [string, number] {
  const escaped = glob[at] === '\\' && at + 1 < glob.length;
  return [glob[escaped ? at + 1 : at] ?? '', at + (escaped ? 2 : 1)];
}

function inSet(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
