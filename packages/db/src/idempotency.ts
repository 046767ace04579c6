import type { IdempotencyKey as KeyRow } from './generated/client.ts';
import { toJson } from './json.ts';
import type { Db } from './prisma-client.ts';

/** An answer as it was sent, to be sent again. */
export interface StoredAnswer {
  status: number;
  /** The body, byte for byte. */
  response: string;
  headers: Record<string, string>;
}

/** What became of a key: exactly one of these is there. */
export type Begun =
  /** The caller does the work, then calls `finish` or `abandon`. */
  | { fresh: true }
  /** The work was done before. */
  | { replay: StoredAnswer }
  /** Somebody does it now. */
  | { inUse: true }
  /** The key came with another request. */
  | { mismatch: true };

/** Answers kept by idempotency key, so that the same request twice has one effect. */
export interface Idempotency {
  /**
   * Claims a key. `route` is method and path, `bodyHash` any digest of the body. A key older than 24 hours counts
   * as absent; one whose work has neither finished nor been abandoned within 2 minutes may be claimed again by
   * the same request.
   */
  begin(userId: string, key: string, route: string, bodyHash: string): Promise<Begun>;
  /** Keeps the answer for those who come with the key again; a later one takes its place. */
  finish(userId: string, key: string, answer: StoredAnswer): Promise<void>;
  /** Gives the key free: the work had no effect. Does nothing once an answer is kept. */
  abandon(userId: string, key: string): Promise<void>;
  /** Removes what is older than 24 hours. Returns how many. */
  purge(): Promise<number>;
}

export function createIdempotency(db: Db): Idempotency {
  return {
    async begin(userId, key, route, bodyHash) {
      // The row found busy may be gone when it is read; then the key is free after all.
      for (;;) {
        const claimed = await claim(db, userId, key, route, bodyHash);
        if (claimed) return { fresh: true };
        const row = await db.idempotencyKey.findUnique({ where: { userId_key: { userId, key } } });
        if (row) return judge(row, route, bodyHash);
      }
    },
    async finish(userId, key, { status, response, headers }) {
      await db.idempotencyKey.updateMany({
        where: { userId, key },
        data: { state: 'done', status, response, headers: toJson(headers) },
      });
    },
    async abandon(userId, key) {
      await db.idempotencyKey.deleteMany({ where: { userId, key, state: 'in_use' } });
    },
    purge: () => db.$executeRaw`DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'`,
  };
}

/** One statement, so that of two requests at once exactly one gets the key. */
async function claim(db: Db, userId: string, key: string, route: string, bodyHash: string): Promise<boolean> {
  const claimed = await db.$executeRaw`
    INSERT INTO idempotency_keys AS k (user_id, key, route, body_hash, state, created_at)
    VALUES (${userId}::uuid, ${key}, ${route}, ${bodyHash}, 'in_use', statement_timestamp())
    ON CONFLICT (user_id, key) DO UPDATE
    SET route = excluded.route, body_hash = excluded.body_hash, state = 'in_use',
        status = NULL, response = NULL, headers = NULL, created_at = excluded.created_at
    WHERE k.created_at < statement_timestamp() - interval '24 hours'
       OR (k.state = 'in_use' AND k.created_at < statement_timestamp() - interval '2 minutes'
           AND k.route = excluded.route AND k.body_hash = excluded.body_hash)`;
  return claimed > 0;
}

function judge(row: KeyRow, route: string, bodyHash: string): Begun {
  if (row.route !== route || row.bodyHash !== bodyHash) return { mismatch: true };
  if (row.state !== 'done' || row.status === null) return { inUse: true };
  const headers = (row.headers ?? {}) as Record<string, string>;
  return { replay: { status: row.status, response: row.response ?? '', headers } };
}
