import { v7 } from 'uuid';
import type { Db } from './prisma-client.ts';
import { toUser, type UserRecord } from './users.ts';

export interface SessionRecord {
  /** The `jti` of its token. */
  id: string;
  userId: string;
  createdAt: Date;
  expiresAt: Date;
  revokedAt: Date | null;
}

export interface Sessions {
  create(session: { userId: string; expiresAt: Date }): Promise<SessionRecord>;
  /** The session and its user; null when it is unknown, expired or revoked, or the user is disabled. */
  authenticate(id: string): Promise<{ session: SessionRecord; user: UserRecord } | null>;
  /** True when it was open until now. */
  revoke(id: string): Promise<boolean>;
  /** For a new password or a disabled user. Returns how many were open; `except` stays. */
  revokeAll(userId: string, except?: string): Promise<number>;
  /** Removes what has expired. Returns how many. */
  purge(): Promise<number>;
}

export function createSessions(db: Db): Sessions {
  return {
    create: (session) => db.session.create({ data: { ...session, id: v7() } }),
    async authenticate(id) {
      const row = await db.session.findUnique({
        where: { id, revokedAt: null, expiresAt: { gt: new Date() }, user: { disabledAt: null } },
        include: { user: true },
      });
      if (!row) return null;
      const { user, ...session } = row;
      return { session, user: toUser(user) };
    },
    async revoke(id) {
      const done = await db.session.updateMany({
        where: { id, revokedAt: null },
        data: { revokedAt: new Date() },
      });
      return done.count > 0;
    },
    async revokeAll(userId, except) {
      const done = await db.session.updateMany({
        where: { userId, revokedAt: null, ...(except === undefined ? {} : { id: { not: except } }) },
        data: { revokedAt: new Date() },
      });
      return done.count;
    },
    async purge() {
      return (await db.session.deleteMany({ where: { expiresAt: { lt: new Date() } } })).count;
    },
  };
}
