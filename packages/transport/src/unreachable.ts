import { AppError } from '@tarfleet/kernel';
import type { Address } from './types.ts';

/** How every way to a port says that nothing answers there. */
export function unreachable({ host, port }: Address, why: string, cause?: unknown): AppError {
  const said = why
    .replaceAll(/\p{C}+/gu, ' ')
    .trim()
    .replace(/\.$/, '')
    .slice(-300);
  return new AppError(
    'PORT_UNREACHABLE',
    `The server cannot connect to ${host} port ${port}: ${said || 'no reason given'}.`,
    { retryable: true, ...(cause === undefined ? {} : { cause }) },
  );
}
