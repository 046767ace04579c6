import type { Db } from './prisma-client.ts';

/** Every repository, by its noun. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the repositories that follow
export interface Repositories {}

/** Binds them to the client or to one transaction. */
export function createRepositories(_db: Db): Repositories {
  return {};
}
