import type { FullBackup } from '@tarfleet/db';

/** What is wrong with a backup: what could not be captured, and which copies have failed. Null: nothing. */
export function errorOf({
  errorCode,
  errorMessage,
  copies,
}: Pick<FullBackup, 'errorCode' | 'errorMessage' | 'copies'>) {
  const failed = copies
    .filter(({ status }) => status === 'failed')
    .map((copy) => `The copy to ${copy.destination.name} failed: ${copy.errorMessage ?? ''}`);
  if (errorCode === null && failed.length === 0) return null;
  const messages = [...(errorCode === null ? [] : [errorMessage ?? '']), ...failed];
  return { code: errorCode ?? ('COPY_FAILED' as const), message: messages.join(' ') };
}
