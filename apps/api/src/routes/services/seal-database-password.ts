import { isDatabaseType, type ServiceType } from '@tarfleet/contracts';
import type { ServerRecord } from '@tarfleet/db';
import { sealFor } from '@tarfleet/vault';
import { type PlanKeys, poolKey } from '../../planner/targets.ts';
import { invalid } from '../../plugins/faults.ts';
import { type DatabaseSettings, infoOf, passwordAgain, type SealedPassword } from './database-settings.ts';

/**
 * The password to store: the one that is given, sealed; the stored one where none is. CREDENTIALS_REQUIRED when that is
 * bound to something else than what is stored now.
 */
export async function passwordFor(
  keys: PlanKeys,
  server: ServerRecord,
  { type, database }: { type: ServiceType; database: DatabaseSettings | null },
  given: string | null | undefined,
  stored: SealedPassword | null,
): Promise<SealedPassword | null> {
  if (!isDatabaseType(type) || database === null || given === null) return null;
  const info = infoOf(server, type, database);
  if (given === undefined) {
    if (stored && (stored.info !== info || stored.pool !== server.pool)) throw passwordAgain();
    return stored;
  }
  if (type === 'sqlite') {
    throw invalid([{ path: 'body/database/password', message: 'is not for services of the type sqlite' }]);
  }
  const box = await sealFor(poolKey(keys, server.pool), info, { password: given });
  return { box, pool: server.pool, info };
}
