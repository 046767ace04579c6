/** Which paths an archive was made from, as a comment in its first header: readers that do not know it skip it. */

export interface ArchiveRoot {
  /** Absolute, as bytes. */
  path: Buffer;
  type: 'directory' | 'symlink' | 'other';
}

const PREFIX = 'tarfleet-roots';
const LETTERS: Record<ArchiveRoot['type'], string> = { directory: 'd', symlink: 'l', other: 'o' };
const PLAIN = /[^A-Za-z0-9/._-]/g;

/** The comment's text: `tarfleet-roots:d/srv/a:l/srv/b`, all but plain characters as `%` and two hex digits. */
export function encodeRootList(roots: readonly ArchiveRoot[]): string {
  const items = roots.map(({ path, type }) => {
    const text = path
      .toString('latin1')
      .replace(PLAIN, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
    return `:${LETTERS[type]}${text}`;
  });
  return PREFIX + items.join('');
}

/** The roots of such a comment, or null when it is another comment. */
export function decodeRootList(comment: Buffer): ArchiveRoot[] | null {
  const [prefix, ...items] = comment.toString('latin1').split(':');
  if (prefix !== PREFIX) return null;
  const roots: ArchiveRoot[] = [];
  for (const item of items) {
    const type = (Object.keys(LETTERS) as ArchiveRoot['type'][]).find((name) => LETTERS[name] === item[0]);
    if (!type || item[1] !== '/') return null;
    const text = item
      .slice(1)
      .replace(/%([0-9a-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    roots.push({ path: Buffer.from(text, 'latin1'), type });
  }
  return roots;
}
