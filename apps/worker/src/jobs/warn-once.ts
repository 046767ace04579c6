import type { JobReporter } from './reporter.ts';

/**
 * The reporter for something that may be done once more: what was told the first time is not told, nor counted,
 * again. Sources tell a few hundred warnings of a kind at most, so this stays small.
 */
export function warnOnce(report: JobReporter): JobReporter {
  const told = new Set<string>();
  return {
    ...report,
    warn(warning) {
      const key = `${warning.code} ${warning.path?.toString('latin1') ?? ''} ${warning.message}`;
      if (told.has(key)) return;
      told.add(key);
      report.warn(warning);
    },
  };
}
