/** The system's records, a repository for each noun. The only room that knows Prisma. */
export { createDatabase, type Database, type DatabaseOptions } from './database.ts';
export { migrateDatabase } from './migrate.ts';
export { createRepositories, type Repositories } from './repositories.ts';
