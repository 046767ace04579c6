import { createHash } from 'node:crypto';
import type { UserRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Passwords } from '@tarfleet/vault';
import type { FastifyReply } from 'fastify';
import type { AppDeps } from '../../deps.ts';
import type { CountUse } from '../../plugins/rate-limits.ts';
import type { SessionTokens } from '../../plugins/session-tokens.ts';

export interface LoginDeps extends Pick<AppDeps, 'db' | 'config'> {
  passwords: Passwords;
  sessionTokens: SessionTokens;
  countUse: CountUse;
}

export interface Session {
  token: string;
  expiresAt: Date;
  user: UserRecord;
}

/**
 * Opens a session. Unknown, disabled and wrong cost the same time and give the same answer, so nobody learns which
 * addresses exist; attempts are counted by network address, and by address and e-mail together.
 */
export async function login(
  deps: LoginDeps,
  attempt: { email: string; password: string; address: string; tried(user: UserRecord): void },
  reply: FastifyReply,
): Promise<Session> {
  const email = attempt.email.trim().toLowerCase();
  await deps.countUse(reply, 'login-address', attempt.address);
  // Hashed: people type passwords into the wrong field.
  const subject = createHash('sha256').update(`${email}\n${attempt.address}`).digest('hex');
  await deps.countUse(reply, 'login', subject);

  const found = await deps.db.users.findWithPassword(email);
  if (found) attempt.tried(found.user);
  const right = await deps.passwords.check(found?.passwordHash ?? null, attempt.password);
  if (!found || !right || found.user.disabledAt) {
    throw new AppError('INVALID_CREDENTIALS', 'E-mail address or password is wrong.');
  }
  const expiresAt = new Date(Date.now() + deps.config.SESSION_HOURS * 3_600_000);
  const { id, userId } = await deps.db.sessions.create({ userId: found.user.id, expiresAt });
  const token = await deps.sessionTokens.issue({ id, userId, expiresAt });
  return { token, expiresAt, user: found.user };
}
