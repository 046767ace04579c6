import { v7 } from 'uuid';
import type { ApiToken as ApiTokenRow } from './generated/client.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';
import { type Role, toUser, type UserRecord } from './users.ts';

export interface ApiTokenRecord {
  id: string;
  userId: string;
  name: string;
  /** Its first characters, to tell it by. */
  prefix: string;
  /** The most it may do, below its user's own role; null for no limit. */
  role: Role | null;
  expiresAt: Date | null;
  /** Exact to a minute. */
  lastUsedAt: Date | null;
  createdAt: Date;
  revokedAt: Date | null;
}

export interface NewApiToken {
  userId: string;
  name: string;
  /** SHA-256 of the token, 32 bytes; the token itself is stored nowhere. */
  tokenHash: Uint8Array;
  prefix: string;
  role: Role | null;
  expiresAt: Date | null;
}

export interface ApiTokens {
  /** A user's tokens, revoked ones too, newest first. */
  list(userId: string, request: PageRequest): Promise<Page<ApiTokenRecord>>;
  get(userId: string, id: string): Promise<ApiTokenRecord | null>;
  create(token: NewApiToken): Promise<ApiTokenRecord>;
  /** The token and its user, with its use noted; null when it is unknown, expired or revoked, or the user is disabled. */
  authenticate(tokenHash: Uint8Array): Promise<{ token: ApiTokenRecord; user: UserRecord } | null>;
  /** True when the user has such a token and it was not revoked until now. */
  revoke(userId: string, id: string): Promise<boolean>;
  /** For a disabled user. Returns how many were open. */
  revokeAll(userId: string): Promise<number>;
}

/** How old the noted last use may become before another use is noted, so that not every request writes. */
const NOTE_USE_EVERY_MS = 60_000;

export function createApiTokens(db: Db): ApiTokens {
  return {
    list: (userId, request) =>
      readPage(
        request,
        (range) =>
          db.apiToken.findMany({
            ...range,
            where: { userId },
            orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
          }),
        () => db.apiToken.count({ where: { userId } }),
        toToken,
      ),
    async get(userId, id) {
      const row = await db.apiToken.findUnique({ where: { id, userId } });
      return row && toToken(row);
    },
    async create(token) {
      const data = { ...token, id: v7(), tokenHash: new Uint8Array(token.tokenHash) };
      return toToken(await db.apiToken.create({ data }));
    },
    async authenticate(tokenHash) {
      const now = new Date();
      const row = await db.apiToken.findUnique({
        where: {
          tokenHash: new Uint8Array(tokenHash),
          revokedAt: null,
          user: { disabledAt: null },
          OR: [{ expiresAt: null }, { expiresAt: { gt: now } }],
        },
        include: { user: true },
      });
      if (!row) return null;
      const { user, ...token } = row;
      if (!row.lastUsedAt || now.getTime() - row.lastUsedAt.getTime() > NOTE_USE_EVERY_MS) {
        await db.apiToken.updateMany({ where: { id: row.id }, data: { lastUsedAt: now } });
        token.lastUsedAt = now;
      }
      return { token: toToken(token), user: toUser(user) };
    },
    async revoke(userId, id) {
      const done = await db.apiToken.updateMany({
        where: { id, userId, revokedAt: null },
        data: { revokedAt: new Date() },
      });
      return done.count > 0;
    },
    async revokeAll(userId) {
      const done = await db.apiToken.updateMany({
        where: { userId, revokedAt: null },
        data: { revokedAt: new Date() },
      });
      return done.count;
    },
  };
}

function toToken(row: ApiTokenRow): ApiTokenRecord {
  const { tokenHash: _, ...token } = row;
  return { ...token, role: token.role as Role | null };
}
