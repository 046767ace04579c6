import type { Database } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import type { SecretBox } from '@tarfleet/vault';
import type { ApiConfig } from '../env.ts';
import { createAddressGuard, parseAllowed } from './address-guard.ts';
import { type Deliverer, startDeliverer } from './deliverer.ts';
import { createMailer } from './mailer.ts';
import type { DeliveryMetrics } from './metrics.ts';
import { parsePauses } from './pauses.ts';
import { createSend } from './send.ts';
import { createRequestSecrets } from './signature.ts';

export interface NotifierOptions {
  config: ApiConfig;
  db: Database;
  logger: Logger;
  box: SecretBox;
  /** From which the secrets of addresses are derived that requests name. */
  jwtSecret: Uint8Array;
  metrics: DeliveryMetrics;
}

/** Begins to send what the outbox holds, by webhook and by mail. */
export function startNotifier({ config, db, logger, box, jwtSecret, metrics }: NotifierOptions): Deliverer {
  const { SMTP_URL: url, SMTP_FROM: from } = config;
  const send = createSend({
    ...{ db, box, requestSecrets: createRequestSecrets(jwtSecret), timeoutMs: config.NOTIFY_TIMEOUT_MS },
    guard: createAddressGuard(parseAllowed(config.WEBHOOK_ALLOWED)),
    mailer: url && from ? createMailer({ url, from }) : null,
  });
  return startDeliverer({
    ...{ db, logger, send, everyMs: config.NOTIFY_EVERY_MS, claimMs: config.NOTIFY_CLAIM_MS },
    pauses: parsePauses(config.NOTIFY_RETRY_SECONDS),
    onTried: metrics.tried,
  });
}
