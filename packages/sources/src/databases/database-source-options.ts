import type { DatabaseSecrets, DatabaseTarget } from '@tarfleet/contracts';

export interface DatabaseSourceOptions {
  /** The password of a database; null where it has none. */
  openSecrets(database: DatabaseTarget): Promise<DatabaseSecrets | null>;
}
