import type { DeliveryRecord, Webhooks } from '@tarfleet/db';
import { type SecretBox, webhookAad } from '@tarfleet/vault';
import { VERSION } from '../version.ts';
import type { AddressGuard } from './address-guard.ts';
import type { Mailer } from './mailer.ts';
import type { Outcome } from './outcome.ts';
import { post } from './post.ts';
import { type RequestSecrets, signatureOf } from './signature.ts';

export interface SendOptions {
  db: { webhooks: Pick<Webhooks, 'get'> };
  box: Pick<SecretBox, 'open'>;
  requestSecrets: RequestSecrets;
  guard: AddressGuard;
  /** Null where there is no mail server. */
  mailer: Mailer | null;
  /** For one request to a webhook, in milliseconds. */
  timeoutMs: number;
}

export type SentDelivery = Pick<
  DeliveryRecord,
  'id' | 'projectId' | 'webhookId' | 'channel' | 'target' | 'payload'
>;
export type Send = (delivery: SentDelivery, signal: AbortSignal) => Promise<Outcome>;

/** One try at a delivery, by whatever channel it takes. Rejects when the database is down. */
export function createSend(options: SendOptions): Send {
  const { requestSecrets, guard, mailer, timeoutMs } = options;
  return async (delivery, signal) => {
    const { id, projectId, webhookId, channel, target, payload } = delivery;
    if (channel === 'email' && target !== null) {
      if (mailer) return mailer.send({ id, to: target, payload }, signal);
      return { kind: 'retry', status: null, error: 'There is no mail server: set SMTP_URL and SMTP_FROM.' };
    }
    const address =
      webhookId !== null
        ? await addressOf(options, webhookId)
        : { url: target ?? '', secret: requestSecrets(projectId, target ?? '') };
    if ('kind' in address) return address;
    const seconds = Math.floor(Date.now() / 1000);
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
      'user-agent': `Tarfleet/${VERSION}`,
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': signatureOf(address.secret, id, seconds, payload),
    };
    return post({ url: address.url, headers, body: payload, guard, timeoutMs, signal });
  };
}

async function addressOf(
  { db, box }: SendOptions,
  id: string,
): Promise<{ url: string; secret: string } | Outcome> {
  const webhook = await db.webhooks.get(id);
  if (!webhook?.enabled) {
    return { kind: 'refused', status: null, error: 'The webhook is switched off.' };
  }
  const { url, secretCiphertext } = webhook;
  try {
    const { secret } = box.open(webhookAad({ id, url }), secretCiphertext) as { secret: string };
    return { url, secret };
  } catch {
    // The box says which key is missing, to nobody here: a person has to put it back, or to give the secret again.
    const error = 'The secret of the webhook cannot be opened: give it again.';
    return { kind: 'retry', status: null, error };
  }
}
