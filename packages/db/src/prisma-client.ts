import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { type Prisma, PrismaClient } from './generated/client.ts';
import { oneQueryAtATime } from './one-query-at-a-time.ts';
import { createStatementNames } from './statement-names.ts';
import { translateError } from './translate-error.ts';

/**
 * What every repository takes: the client itself, or one transaction of it, so that repositories can be
 * composed in one transaction. Its errors are AppErrors already.
 */
export type Db = PrismaClient | Prisma.TransactionClient;

export interface PrismaOptions {
  /** `postgres://` URL. */
  url: string;
  /** Most connections at once. */
  poolSize: number;
  /** A connection that waited idle in the pool broke; the next query opens another. */
  onPoolError: (error: Error) => void;
}

/** A client that connects at its first query. The caller ends it with `$disconnect()`. */
export function createPrisma(options: PrismaOptions): PrismaClient {
  const adapter = new PrismaPg(
    {
      connectionString: options.url,
      max: options.poolSize,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      onConnect: prepareConnection,
    },
    {
      onPoolError: options.onPoolError,
      onConnectionError: options.onPoolError,
      statementNameGenerator: createStatementNames(),
    },
  );
  const client = new PrismaClient({
    adapter: oneQueryAtATime(adapter),
    transactionOptions: { maxWait: 5_000, timeout: 20_000 },
    // Anything longer quotes the source and the arguments, and costs a stack for every query.
    errorFormat: 'minimal',
  });
  const translating = client.$extends({
    query: {
      $allOperations: async ({ args, query }) => {
        try {
          return await query(args);
        } catch (error) {
          throw translateError(error);
        }
      },
    },
  });
  // The extension changes what is thrown, not what can be called.
  return translating as unknown as PrismaClient;
}

/**
 * The adapter drops a time's offset when it reads and sends none when it writes: in any other zone than UTC, times
 * would be quietly wrong. And no process waits without end for another that hangs with a lock in its hands.
 */
async function prepareConnection(client: pg.ClientBase): Promise<void> {
  await client.query(
    "SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '15s'",
  );
}
