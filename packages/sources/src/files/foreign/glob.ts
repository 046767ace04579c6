/**
 * A pattern of the shell as a test of bytes, given as one character each: fnmatch(3) without flags, in the C locale,
 * so that `*` matches a slash and a leading dot as well. For lists that are not made by `find`. Of what POSIX has in
 * brackets it does not know collating symbols and equivalence classes (`[.a.]`, `[=a=]`).
 */
export function globTest(pattern: string): (text: string) => boolean {
  const glob = Buffer.from(pattern, 'utf8').toString('latin1');
  let source = '';
  for (let at = 0; at < glob.length; ) {
    const char = glob[at] ?? '';
    // An escape of nothing: fnmatch takes it for no name at all.
    if (char === '\\' && at + 1 === glob.length) return () => false;
    const set = char === '[' ? readSet(glob, at) : null;
    if (set === 'never') return () => false;
    if (set) source += set.source;
    else if (char === '*') source += source.endsWith('.*') ? '' : '.*';
    else if (char === '?') source += '.';
    else source += inSet(char === '\\' ? (glob[at + 1] ?? '') : char);
    at = set ? set.end : at + (char === '\\' ? 2 : 1);
  }
  const expression = new RegExp(`^${source}$`, 's');
  return (text) => expression.test(text);
}

/** A pattern's parts, each of which matches by itself: single characters, escapes, sets. */
export function globParts(pattern: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < pattern.length; ) {
    const set = pattern[at] === '[' ? readSet(pattern, at) : null;
    let end = at + String.fromCodePoint(pattern.codePointAt(at) ?? 0).length;
    if (set !== null && set !== 'never') end = set.end;
    else if (pattern[at] === '\\') end = Math.min(at + 2, pattern.length);
    parts.push(pattern.slice(at, end));
    at = end;
  }
  return parts;
}

const CLASSES: Record<string, string> = {
  ...{ alpha: 'A-Za-z', digit: '0-9', alnum: 'A-Za-z0-9', upper: 'A-Z', lower: 'a-z', xdigit: '0-9A-Fa-f' },
  ...{ space: ' \\t-\\r', blank: ' \\t', cntrl: '\\x00-\\x1f\\x7f', print: ' -~', graph: '!-~' },
  punct: '!-\\/:-@\\[-`{-~',
};

const NAMED = /^\[:([a-y]*):\]/;

/**
 * A set in brackets; null when none ends, and the bracket stands for itself; `never` when it can match nothing.
 */
function readSet(glob: string, start: number): { source: string; end: number } | 'never' | null {
  let at = start + 1;
  const not = glob[at] === '!' || glob[at] === '^';
  if (not) at += 1;
  let source = '';
  // Behind a class that there is not, fnmatch finds nothing any more.
  let blind = false;
  for (let first = true; at < glob.length; first = false) {
    if (glob[at] === ']' && !first) {
      return blind && not ? 'never' : { source: `[${not ? '^' : ''}${source}]`, end: at + 1 };
    }
    const named = NAMED.exec(glob.slice(at));
    if (named) {
      const members = CLASSES[named[1] ?? ''];
      if (members === undefined) blind = true;
      else if (!blind) source += members;
      at += named[0].length;
      continue;
    }
    const [low, after] = readMember(glob, at);
    const [high, end] =
      glob[after] === '-' && after + 1 < glob.length && glob[after + 1] !== ']'
        ? readMember(glob, after + 1)
        : [low, after];
    // A range that runs backwards holds nothing.
    if (low <= high && !blind) source += `${inSet(low)}-${inSet(high)}`;
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
