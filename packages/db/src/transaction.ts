import type { PrismaClient } from './generated/client.ts';
import type { Db } from './prisma-client.ts';
import { isWriteConflict, translateError } from './translate-error.ts';

const TRIES = 4;

/**
 * Runs `action` in one transaction (READ COMMITTED); a rejection undoes it all. When `db` is a transaction
 * already, `action` becomes part of it. A transaction that lost a deadlock runs again, so `action` must do
 * nothing but queries.
 */
export async function inTransaction<T>(db: Db, action: (tx: Db) => Promise<T>): Promise<T> {
  if (!isClient(db)) return action(db);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.$transaction((tx) => action(tx));
    } catch (error) {
      if (attempt < TRIES && isWriteConflict(error)) continue;
      throw translateError(error);
    }
  }
}

function isClient(db: Db): db is PrismaClient {
  return '$connect' in db && typeof db.$connect === 'function';
}
