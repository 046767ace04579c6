import type { HandedRecord } from '@tarfleet/contracts';

export const RECORDS_FOLDER = 'project-records';

/** What the list of a kind is called in the archive. */
export function fileOf(kind: HandedRecord[0]): string {
  return kind === 'metadata' ? 'metadata.json' : `${kind}.jsonl`;
}
