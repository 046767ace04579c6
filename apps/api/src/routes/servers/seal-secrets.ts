import type { SealedBox, ServerSecrets } from '@tarfleet/contracts';
import { sealFor, serverSecretsInfo } from '@tarfleet/vault';
import { type PlanKeys, poolKey } from '../../planner/targets.ts';
import type { Auth } from './schemas.ts';

/** Closes a server's credentials for its pool's workers; from here on the API cannot read them. */
export async function sealSecrets(
  keys: PlanKeys,
  place: { pool: string; projectId: number; host: string; port: number },
  given: { auth: Auth; becomePassword: string | undefined },
): Promise<SealedBox> {
  const secrets: ServerSecrets = {
    auth: given.auth,
    ...(given.becomePassword === undefined ? {} : { becomePassword: given.becomePassword }),
  };
  return sealFor(poolKey(keys, place.pool), serverSecretsInfo(place), secrets);
}
