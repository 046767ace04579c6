import type { Notification } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { invalid } from '../plugins/faults.ts';
import { Email, strict } from '../routes/shapes.ts';
import type { AddressGuard } from './address-guard.ts';
import { urlFault } from './check-url.ts';

const MOST_ADDRESSES = 20;

export const WebhookUrl = Type.String({
  minLength: 1,
  maxLength: 2000,
  pattern: '^https?://[^\\s]+$',
  description: 'an http or https address',
});

/** Document 2's `notification`, of a backup, a restore or a schedule. */
export const NotificationBody = strict({
  email: Type.Optional(
    Type.Array(Email, {
      minItems: 1,
      maxItems: MOST_ADDRESSES,
      description: 'Each gets a letter of its own',
    }),
  ),
  webhook: Type.Optional(WebhookUrl),
  on_success: Type.Optional(Type.Boolean({ default: true, description: 'Tell of one that completed' })),
  on_failure: Type.Optional(
    Type.Boolean({ default: true, description: 'Tell of one that failed, in part too, or was cancelled' }),
  ),
});
export type NotificationBody = Static<typeof NotificationBody>;

/** What says whether a wish can be fulfilled here. */
export interface NotificationRules {
  guard: AddressGuard;
  /** Whether there is a mail server. */
  mail: boolean;
}

/**
 * The field as it is kept with what it is about; null when it was left out. NOT_SUPPORTED when it asks for e-mail and
 * there is no mail server, VALIDATION_FAILED when it names nobody or an address that may not be reached.
 */
export async function readNotification(
  { guard, mail }: NotificationRules,
  body: NotificationBody | undefined,
  path = 'body/notification',
): Promise<Notification | null> {
  if (body === undefined) return null;
  const { email = [], webhook = null, on_success = true, on_failure = true } = body;
  if (email.length === 0 && webhook === null) {
    throw invalid([{ path, message: 'names nobody: give email, webhook, or both' }]);
  }
  if (email.length > 0 && !mail) {
    throw new AppError(
      'NOT_SUPPORTED',
      'E-mail is not set up here: an administrator has to set SMTP_URL and SMTP_FROM in the API’s environment. Leave email out, or give a webhook.',
    );
  }
  const fault = webhook === null ? undefined : await urlFault(guard, webhook);
  if (fault !== undefined) throw invalid([{ path: `${path}/webhook`, message: fault }]);
  return { email: [...new Set(email)], webhook, on_success, on_failure };
}
