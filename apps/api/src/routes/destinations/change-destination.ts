import { isDeepStrictEqual } from 'node:util';
import type { DestinationChanges, DestinationRecord, NewDestination, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { destinationAad } from '@tarfleet/vault';
import { v7 as uuidv7 } from 'uuid';
import type { AppDeps } from '../../deps.ts';
import { checkPolicy } from '../../retention/check-policy.ts';
import { checkConfig } from './check-config.ts';
import { checkPlace } from './check-place.ts';
import { differ, fieldsOf, secretsOf, toStored } from './config.ts';
import type { DestinationChangesBody, NewDestinationBody } from './schemas.ts';

type Deps = Pick<AppDeps, 'db' | 'vault' | 'config'>;

export function newDestination(
  { vault, config }: Deps,
  body: NewDestinationBody,
): NewDestination & { id: string } {
  checkConfig(body.type, body.config, config);
  if (body.retention) checkPolicy(body.retention, 'body/retention');
  const id = uuidv7();
  const secrets = secretsOf(body.config);
  return {
    id,
    name: body.name,
    type: body.type,
    config: toStored(body.type, {}, body.config),
    secretCiphertext: secrets && vault.box.seal(destinationAad(id), secrets),
    retentionDays: body.retention_days ?? null,
    retention: body.retention ?? null,
    capacityBytes: body.capacity_bytes ?? null,
    isDefault: body.is_default ?? false,
    enabled: body.enabled ?? true,
  };
}

/** Stores one that `newDestination` has made. CONFLICT also when its place is another's, or is backed up by a service. */
export async function addDestination(
  { db }: Pick<Deps, 'db'>,
  destination: ReturnType<typeof newDestination>,
): Promise<DestinationRecord> {
  return db.transaction(async (tx) => {
    await checkPlace(tx, destination);
    return tx.destinations.create(destination);
  });
}

/**
 * Carries out a PATCH; null when there is no such destination. Credentials must not follow a new address without
 * their owner's doing, and stored backups must stay where they are looked for. With `since`, CONFLICT when its
 * place or credentials are no longer what they were then.
 */
export async function changeDestination(
  deps: Deps,
  id: string,
  body: DestinationChangesBody,
  { since, ...more }: { since?: DestinationRecord } & Pick<DestinationChanges, 'testedAt'> = {},
): Promise<DestinationRecord | null> {
  return deps.db.transaction(async (tx) => {
    const before = await tx.destinations.lock(id);
    if (!before) return null;
    if (
      since &&
      !(isDeepStrictEqual(before.config, since.config) && before.secretCiphertext === since.secretCiphertext)
    ) {
      throw new AppError(
        'CONFLICT',
        `The destination ${before.name} was changed at this moment. Send the request again.`,
      );
    }
    return tx.destinations.update(id, { ...(await changesOf(tx, deps, before, body)), ...more });
  });
}

/** As it would be after a PATCH, which nothing is changed by yet. */
export async function previewChange(
  deps: Deps,
  before: DestinationRecord,
  body: DestinationChangesBody,
): Promise<DestinationRecord> {
  return { ...before, ...(await changesOf(deps.db, deps, before, body)) };
}

async function changesOf(
  db: Pick<Repositories, 'destinations' | 'services'>,
  { vault, config }: Deps,
  before: DestinationRecord,
  body: DestinationChangesBody,
): Promise<DestinationChanges> {
  if (body.retention) checkPolicy(body.retention, 'body/retention');
  const changes: DestinationChanges = {
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.retention_days === undefined ? {} : { retentionDays: body.retention_days }),
    ...(body.retention === undefined ? {} : { retention: body.retention }),
    ...(body.capacity_bytes === undefined ? {} : { capacityBytes: body.capacity_bytes }),
    ...(body.is_default === undefined ? {} : { isDefault: body.is_default }),
    ...(body.enabled === undefined ? {} : { enabled: body.enabled }),
  };
  if (body.config === undefined) return changes;
  checkConfig(before.type, body.config, config);
  const after = toStored(before.type, before.config, body.config);
  const { endpoint, place } = fieldsOf(before.type);
  const secrets = secretsOf(body.config);
  if (differ(before.config, after, endpoint) && before.secretCiphertext !== null && !secrets) {
    throw new AppError(
      'CREDENTIALS_REQUIRED',
      `Credentials are not carried over to another place: with a new ${endpoint.join(', ')} give them again.`,
    );
  }
  if (differ(before.config, after, [...place, ...endpoint]))
    await checkPlace(db, { ...before, config: after });
  if (differ(before.config, after, place) && (await db.destinations.hasBackups(before.id))) {
    throw new AppError(
      'CONFLICT',
      'Backups lie at this destination, and under a new bucket, prefix or path they would not be found. Make another destination instead, or delete them first.',
    );
  }
  return {
    ...changes,
    config: after,
    ...(secrets ? { secretCiphertext: vault.box.seal(destinationAad(before.id), secrets) } : {}),
  };
}
