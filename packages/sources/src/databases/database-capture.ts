import type { DatabaseFacts } from '@tarfleet/contracts';
import type { Dump } from './dump-tar.ts';

/** What an engine has to say for a capture. */
export interface DatabaseCapture {
  /** One after the other; each is read to its end, or all are left. */
  dumps: AsyncGenerator<Dump>;
  /** About how much is to come. */
  bytes: number;
  /** Once all dumps have been read. */
  facts(): DatabaseFacts;
}
