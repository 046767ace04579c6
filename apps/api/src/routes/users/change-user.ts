import type { Database, UserRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Passwords } from '@tarfleet/vault';
import type { Static } from 'typebox';
import { forbidden } from '../../plugins/access.ts';
import type { Actor } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import type { UserChangesBody } from './schemas.ts';

type Changes = Static<typeof UserChangesBody>;

/**
 * Admins change anyone; everyone changes their own password and nothing else. A new password closes every session
 * of the user but the one that asked; disabling revokes sessions and tokens.
 */
export async function changeUser(
  deps: { db: Database; passwords: Passwords },
  actor: Actor,
  id: string,
  changes: Changes,
): Promise<UserRecord> {
  const { db, passwords } = deps;
  const { password, current_password: current, disabled, email, role } = changes;
  const own = id === actor.userId;
  if (actor.role !== 'admin') assertOwnPasswordOnly(own, changes);
  const user = await db.users.get(id);
  if (!user) throw new AppError('NOT_FOUND', 'There is no such user.');
  if (own && password !== undefined) await assertCurrentPassword(deps, actor.email, current);

  const passwordHash = password === undefined ? undefined : await passwords.hash(password);
  return db.transaction(async (tx) => {
    const changed = await tx.users.update(id, {
      ...(email === undefined ? {} : { email }),
      ...(role === undefined ? {} : { role }),
      ...(disabled === undefined ? {} : { disabledAt: disabled ? (user.disabledAt ?? new Date()) : null }),
      ...(passwordHash === undefined ? {} : { passwordHash }),
    });
    if (!changed) throw new AppError('NOT_FOUND', 'There is no such user.');
    if (passwordHash !== undefined) await tx.sessions.revokeAll(id, own ? actor.sessionId : undefined);
    if (disabled) {
      await tx.sessions.revokeAll(id);
      await tx.apiTokens.revokeAll(id);
    }
    return changed;
  });
}

function assertOwnPasswordOnly(own: boolean, { password: _p, current_password: _c, ...rest }: Changes): void {
  // Whether another user exists is not told either.
  if (!own || Object.keys(rest).length > 0) throw forbidden('admin');
}

async function assertCurrentPassword(
  { db, passwords }: { db: Database; passwords: Passwords },
  email: string,
  current: string | undefined,
): Promise<void> {
  if (current === undefined) {
    throw invalid([{ path: 'body/current_password', message: 'is required to change your own password' }]);
  }
  const found = await db.users.findWithPassword(email);
  if (!(await passwords.check(found?.passwordHash ?? null, current))) {
    throw invalid([{ path: 'body/current_password', message: 'is not your present password' }]);
  }
}
