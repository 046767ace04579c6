/** Why nothing makes way that has come since it was to be saved, and what to do. */
export const UNSAVED =
  'The emergency backup does not hold it: it found nothing to save. Restore again; to have it replaced all the same, send "emergency_backup":"attempt".';
