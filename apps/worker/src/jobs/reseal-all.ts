import { DatabaseSecrets, type ResealPlan, type ResultOf, ServerSecrets } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { openSealedObject, type PoolPrivateKey, sealFor, serverSecretsInfo } from '@tarfleet/vault';

/**
 * Seals anew what a plan names, each bound to what it was bound to. Of what cannot be opened, the first fault is
 * thrown, once all else is done: the result is in its details.
 */
export async function resealAll(
  keys: readonly PoolPrivateKey[],
  plan: ResealPlan,
): Promise<ResultOf<'reseal'>> {
  let fault: AppError | null = null;
  const attempt = async <T>(whose: string, action: () => Promise<T>): Promise<T | null> => {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      fault ??= new AppError(error.code, `${whose}: ${error.message}`, { cause: error });
      return null;
    }
  };
  const { host, port, secrets: box, to, serverId, databases = [] } = plan;
  const result: ResultOf<'reseal'> = { kind: 'reseal', serverId, secrets: null, databases: [] };
  if (host !== null && port !== null && box !== null) {
    const info = serverSecretsInfo({ ...plan, host, port });
    result.secrets = await attempt('The server’s credentials', async () =>
      sealFor(to, info, await openSealedObject(keys, info, box, ServerSecrets)),
    );
  }
  for (const { serviceId, serviceName, info, secrets: sealed } of databases) {
    const secrets = await attempt(`The database password of ${serviceName}`, async () =>
      sealFor(to, info, await openSealedObject(keys, info, sealed, DatabaseSecrets)),
    );
    if (secrets) result.databases?.push({ serviceId, secrets });
  }
  const first = fault as AppError | null;
  if (first) throw new AppError(first.code, first.message, { cause: first.cause, details: result });
  return result;
}
