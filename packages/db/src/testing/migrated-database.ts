import { createTestDatabase } from '@tarfleet/testbed';
import type { PrismaClient } from '../generated/client.ts';
import { migrateDatabase } from '../migrate.ts';
import { createPrisma } from '../prisma-client.ts';
import { createRepositories, type Repositories } from '../repositories.ts';

export interface MigratedDatabase extends Repositories {
  url: string;
  prisma: PrismaClient;
  close(): Promise<void>;
}

/** A database of its own with all migrations applied, and the repositories on it. */
export async function openMigratedDatabase(): Promise<MigratedDatabase> {
  const { url, drop } = await createTestDatabase();
  await migrateDatabase(url);
  const prisma = createPrisma({ url, poolSize: 8, onPoolError: () => undefined });
  return {
    ...createRepositories(prisma),
    url,
    prisma,
    async close() {
      await prisma.$disconnect();
      await drop();
    },
  };
}
