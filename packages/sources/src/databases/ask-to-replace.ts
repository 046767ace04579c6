import { UNSAVED } from '../unsaved.ts';

/** How a request says that what is there may make way: routes call the field by one of two names. */
export function askToReplace(what: 'it' | 'them', unsaved = false): string {
  if (unsaved) return UNSAVED;
  return `To have ${what} replaced by the backup's, send "database":{"dropExisting":true} ("drop_existing" in the route POST /api/backups/restore).`;
}
