/** How long a name that people gave may be within a file's name, in characters. */
const MOST = 80;

/** What every file system takes and no header has to quote. */
export function plainName(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+|-+$/g, '')
    .slice(0, MOST);
}

/** The same in its own script: without what would lead into another folder, or is no character. */
export function ownName(text: string): string {
  const safe = text.replace(/[/\\\p{Cc}\p{Cs}]+/gu, '-').replace(/^[-.\s]+|[-\s]+$/gu, '');
  return [...safe].slice(0, MOST).join('');
}

/** A Content-Disposition (RFC 6266): the plain name, and beside it the full one (RFC 8187) where that is another. */
export function asAttachment(plain: string, full: string): string {
  const header = `attachment; filename="${plain}"`;
  if (full === plain) return header;
  const encoded = encodeURIComponent(full).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${header}; filename*=UTF-8''${encoded}`;
}
