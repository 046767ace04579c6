import type { Tuning } from './create-storage.ts';

/** Little patience, the same with every kind of destination. */
export function tuned({ idleMs = 10_000, tries = 4 }: { idleMs?: number; tries?: number }): Tuning {
  const connectMs = Math.min(5000, 2 * idleMs);
  const patience = { tries, delayMs: 10, maxDelayMs: 50 };
  return {
    ...{ patience, s3: { connectMs, idleMs }, sftp: { connectMs, idleMs }, ftp: { idleMs } },
    azure: { idleMs, blockMs: 2 * idleMs },
  };
}
