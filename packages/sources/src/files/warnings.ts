import type { SourceWarning } from '../types.ts';

/** Told one by one up to these numbers; the rest is counted. */
const LIMITS: Record<string, number> = { SOCKET_SKIPPED: 20 };
const LIMIT = 200;

export interface WarningLimiter {
  warn(warning: SourceWarning): void;
  /** Tells how many were left out, once for each code. */
  close(): void;
}

/** Keeps a folder with a million unreadable files from becoming a million events; none goes uncounted. */
export function createWarningLimiter(warn: (warning: SourceWarning) => void): WarningLimiter {
  const counts = new Map<string, number>();
  return {
    warn(warning) {
      const count = (counts.get(warning.code) ?? 0) + 1;
      counts.set(warning.code, count);
      if (count <= (LIMITS[warning.code] ?? LIMIT)) warn(warning);
    },
    close() {
      for (const [code, count] of counts) {
        const more = count - (LIMITS[code] ?? LIMIT);
        if (more > 0)
          warn({ code, message: `${more} more of the same (${code}) are not listed.`, count: more });
      }
      counts.clear();
    },
  };
}
