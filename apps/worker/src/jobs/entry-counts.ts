import type { TarEntry } from '@tarfleet/archive';

/** Counts the entries of an archive while it is written. */
export function createEntryCounts() {
  const counts = {
    files: 0,
    directories: 0,
    other: 0,
    bytes: 0,
    current: null as string | null,
    see(entry: TarEntry): void {
      counts.current = `/${entry.path.toString('utf8')}`;
      if (entry.type === 'file') {
        counts.files += 1;
        counts.bytes += entry.size;
      } else if (entry.type === 'hardlink') counts.files += 1;
      else if (entry.type === 'directory') counts.directories += 1;
      else counts.other += 1;
    },
  };
  return counts;
}
