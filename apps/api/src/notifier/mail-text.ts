import type { Payload } from './payload.ts';

const TITLES: Record<string, string> = {
  'backup.completed': 'Backup completed',
  'backup.failed': 'Backup failed',
  'restore.completed': 'Restore completed',
  'restore.failed': 'Restore failed',
};
/** What a status says more exactly than its event. */
const STATUS_TITLES: Record<string, string> = {
  partial: 'Backup incomplete',
  cancelled: 'Backup cancelled',
  skipped: 'Backup not begun',
  missed: 'Backup not begun',
  rolled_back: 'Restore failed and rolled back',
};

/** Subject and text of the letter about an event. */
export function mailOf(payload: string): { subject: string; text: string } {
  const { event, timestamp, data } = JSON.parse(payload) as Payload;
  const title = STATUS_TITLES[String(data.status)] ?? TITLES[event] ?? event;
  const name = data.name ?? data.restore_id ?? data.backup_id;
  const { error, ...facts } = data;
  const lines = Object.entries({ event, time: timestamp, ...facts })
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([field, value]) => `${field.replaceAll('_', ' ')}: ${shown(value)}`);
  const failure = error as { code: string; message: string } | null | undefined;
  const why = failure ? [failure.message, `(${failure.code})`, ''] : [];
  return {
    subject: `[Tarfleet] ${title}: ${name}`,
    text: [`${title}.`, '', ...why, ...lines, ''].join('\n'),
  };
}

function shown(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : String(value);
}
