import { ACTIVE_RECORD_KINDS, type RecordsMode } from '@tarfleet/contracts';
import type { AppliedRecords } from './apply-records.ts';

/** More names than that are counted. */
const MOST_NAMES = 20;

/** What was made of the records, one sentence each. */
export function noticesOf(applied: AppliedRecords, mode: RecordsMode): string[] {
  const { created, changed, left, skipped, withoutCredentials } = applied;
  const made = ACTIVE_RECORD_KINDS.filter((kind) => created[kind].length > 0).map(
    (kind) => `${created[kind].length} ${kind} (${named(created[kind])})`,
  );
  const notices = [
    made.length > 0
      ? `Of the project's own records were made again: ${made.join(', ')}.`
      : "None of the project's own records was missing.",
  ];
  if (created.schedules.length > 0) notices.push('The schedules that were made again are paused.');
  if (changed.length > 0) notices.push(`${changed.length} were set back: ${named(changed)}.`);
  if (changed.some((label) => label.startsWith('schedule '))) {
    notices.push('The schedules that were set back are paused.');
  }
  if (left.length > 0) {
    const how = mode === 'missing' ? '; restore with records: all to set them back' : '';
    notices.push(`${left.length} differ from the backup and were left: ${named(left)}${how}.`);
  }
  if (skipped.length > 0) {
    notices.push(`${skipped.length} were left out: ${named(skipped)}.`);
  }
  if (withoutCredentials.length > 0) {
    notices.push(`Give their credentials again: ${named(withoutCredentials)}.`);
  }
  return notices;
}

function named(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return names.slice(0, MOST_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
