import type { Logger } from '@tarfleet/kernel';
import { createPrisma } from './prisma-client.ts';
import { createRepositories, type Repositories } from './repositories.ts';
import { inTransaction } from './transaction.ts';

export interface DatabaseOptions {
  /** `postgres://` URL of a migrated database. */
  url: string;
  /** Most connections at once; default 10. */
  poolSize?: number;
  logger?: Logger;
}

export interface Database extends Repositories {
  /** Repositories bound to one transaction; a rejection undoes all they did. May run `action` again after a deadlock. */
  transaction<T>(action: (repositories: Repositories) => Promise<T>): Promise<T>;
  /** Rejects with UNAVAILABLE when the database does not answer. */
  ping(): Promise<void>;
  /** Ends every connection. The database is not used after it. */
  close(): Promise<void>;
}

/** The repositories on a pool of connections, opened at the first query. Errors are AppErrors: CONFLICT, UNAVAILABLE (retryable). */
export function createDatabase(options: DatabaseOptions): Database {
  const prisma = createPrisma({
    url: options.url,
    poolSize: options.poolSize ?? 10,
    onPoolError: (error) => options.logger?.warn({ err: error }, 'database connection lost'),
  });
  return {
    ...createRepositories(prisma),
    transaction: (action) => inTransaction(prisma, (tx) => action(createRepositories(tx))),
    async ping() {
      await prisma.$queryRaw`SELECT 1`;
    },
    async close() {
      await prisma.$disconnect();
    },
  };
}
