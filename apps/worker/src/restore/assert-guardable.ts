import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';

/** Whether a restore could run its commands under a guard there. TOOL_MISSING. Nothing is made for that. */
export async function assertGuardable(session: Session, signal: AbortSignal): Promise<void> {
  const found = await session.run(['sh', '-c', 'command -v flock'], { signal });
  if (found.code === 0) return;
  throw new AppError('TOOL_MISSING', 'The server lacks flock (package util-linux). Install it there.');
}
