import { AppError } from '@tarfleet/kernel';

/** tar tells a write that came short by its count alone. */
const FULL = /No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes/;

/** Such words end a command at once: tar itself would go on to the archive's end. */
export function tellsFullDisk(words: string): boolean {
  return FULL.test(words);
}

/** The fault behind what a command on the server printed. */
export function serverFault(
  what: string,
  words: string,
  code: 'COMMAND_FAILED' | 'RESTORE_FAILED' = 'COMMAND_FAILED',
): AppError {
  if (FULL.test(words)) {
    return new AppError(
      'INSUFFICIENT_STORAGE',
      `The server's disk is full: a restore needs room for a second copy of what it puts back. Make room there, then restore again. ${words}`,
    );
  }
  return new AppError(code, `${what}: ${words}`);
}
