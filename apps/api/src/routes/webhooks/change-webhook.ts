import type { WebhookChanges, WebhookRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { webhookAad } from '@tarfleet/vault';
import { v7 as uuidv7 } from 'uuid';
import type { AppDeps } from '../../deps.ts';
import type { AddressGuard } from '../../notifier/address-guard.ts';
import { urlFault } from '../../notifier/check-url.ts';
import { isSecret, newSecret } from '../../notifier/signature.ts';
import { type Fault, invalid } from '../../plugins/faults.ts';
import type { NewWebhookBody, WebhookChangesBody } from './schemas.ts';

type Deps = Pick<AppDeps, 'db' | 'vault'> & { guard: AddressGuard };
interface Changed {
  webhook: WebhookRecord;
  /** When it is a new one; shown once. */
  secret: string | null;
}

export async function createWebhook(
  { db, vault, guard }: Deps,
  projectId: number,
  { url, events, secret = newSecret() }: NewWebhookBody,
): Promise<{ webhook: WebhookRecord; secret: string }> {
  await check(guard, url, secret);
  const id = uuidv7();
  const secretCiphertext = vault.box.seal(webhookAad({ id, url }), { secret });
  return { webhook: await db.webhooks.create({ id, projectId, url, events, secretCiphertext }), secret };
}

/**
 * Carries out a PATCH; null when there is no such webhook. A secret is bound to its address: under another one,
 * whoever moved it could pass on what the old receiver believes.
 */
export async function changeWebhook(
  deps: Deps,
  id: string,
  body: WebhookChangesBody,
): Promise<Changed | null> {
  const { url, secret: given, renew_secret: renew } = body;
  if (given !== undefined && renew) {
    throw invalid([{ path: 'body/renew_secret', message: 'does not go with secret: give one of them' }]);
  }
  await check(deps.guard, url, given);
  return deps.db.transaction(async (tx) => {
    const before = await tx.webhooks.lock(id);
    if (!before) return null;
    const secret = given ?? (renew ? newSecret() : null);
    if (url !== undefined && url !== before.url && secret === null) {
      throw new AppError(
        'CREDENTIALS_REQUIRED',
        'A secret is not carried over to a new url: give the secret again, or renew_secret: true for a new one.',
      );
    }
    const webhook = await tx.webhooks.update(id, changesOf(deps, before, body, secret));
    return webhook && { webhook, secret };
  });
}

function changesOf(
  { vault }: Deps,
  { id, url: before }: WebhookRecord,
  { url = before, events, enabled }: WebhookChangesBody,
  secret: string | null,
): WebhookChanges {
  return {
    url,
    ...(events === undefined ? {} : { events }),
    ...(enabled === undefined ? {} : { enabled, disabledReason: null }),
    ...(secret === null ? {} : { secretCiphertext: vault.box.seal(webhookAad({ id, url }), { secret }) }),
  };
}

async function check(
  guard: AddressGuard,
  url: string | undefined,
  secret: string | undefined,
): Promise<void> {
  const faults: Fault[] = [];
  const fault = url === undefined ? undefined : await urlFault(guard, url);
  if (fault !== undefined) faults.push({ path: 'body/url', message: fault });
  if (secret !== undefined && !isSecret(secret)) {
    faults.push({ path: 'body/secret', message: 'must be whsec_ and base64 of 24 to 64 bytes' });
  }
  if (faults.length > 0) throw invalid(faults);
}
