import type { JobContext } from '../job-context.ts';
import { createPace } from '../jobs/pace.ts';

/** How far a verification is, told as its progress. */
export interface Tally {
  /** Bytes that were read of this object, or for it. */
  read(bytes: number, current: string): void;
  /** Files, or for a quick verification objects, that are done. */
  done(files: number): void;
  /** All has been looked at: what was not read, as it is a hole, or gone, or was read by an earlier attempt, counts too. */
  finish(): void;
}

/** What has to be read twice to find a fault counts once: never more than the total. */
export function createTally(
  progress: JobContext['progress'],
  { bytes: bytesTotal, files: filesTotal }: { bytes: number; files: number },
): Tally {
  const pace = createPace(bytesTotal);
  let bytesDone = 0;
  let filesDone = 0;
  return {
    read(bytes, current) {
      bytesDone = Math.min(bytesDone + bytes, bytesTotal);
      progress({
        ...{ phase: 'verification', bytesDone, bytesTotal, filesDone, filesTotal, current },
        ...pace.at(bytesDone),
      });
    },
    done(files) {
      filesDone = Math.min(filesDone + files, filesTotal);
    },
    finish() {
      [bytesDone, filesDone] = [bytesTotal, filesTotal];
      progress({
        ...{ phase: 'verification', bytesDone, bytesTotal, filesDone, filesTotal, current: null },
        ...{ bytesPerSecond: null, secondsLeft: null },
      });
    },
  };
}
