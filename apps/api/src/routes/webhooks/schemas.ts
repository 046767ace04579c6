import { NOTIFICATION_EVENTS, Timestamp, Uuid } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { WebhookUrl } from '../../notifier/notification.ts';
import { nullable, one, PageQuery, ProjectId, page, strict } from '../shapes.ts';

const Event = Type.Enum([...NOTIFICATION_EVENTS]);
const Events = Type.Array(Event, { minItems: 1, maxItems: NOTIFICATION_EVENTS.length, uniqueItems: true });
const SECRET = '`whsec_` and base64 of 24 to 64 random bytes, as Standard Webhooks has it';
const Secret = Type.String({
  maxLength: 100,
  pattern: '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$',
  description: SECRET,
});

export const NewWebhookBody = strict({
  url: WebhookUrl,
  events: Events,
  secret: Type.Optional(Type.String({ ...Secret, description: `${SECRET}; left out, one is made` })),
  project_id: Type.Optional(
    Type.Integer({ ...ProjectId, description: 'Of whose backups it is told; left out, the default project' }),
  ),
});
export type NewWebhookBody = Static<typeof NewWebhookBody>;

export const WebhookChangesBody = strict({
  url: Type.Optional(WebhookUrl),
  events: Type.Optional(Events),
  secret: Type.Optional(Secret),
  renew_secret: Type.Optional(
    Type.Boolean({ description: 'true: a new secret is made, and shown in this answer alone' }),
  ),
  enabled: Type.Optional(
    Type.Boolean({ description: 'false: it is told of nothing, and what waits for it is given up' }),
  ),
});
export type WebhookChangesBody = Static<typeof WebhookChangesBody>;

const view = {
  id: Uuid,
  project_id: ProjectId,
  url: Type.String(),
  events: Type.Array(Type.String()),
  enabled: Type.Boolean(),
  disabled_reason: nullable(Type.String({ description: 'Why it was switched off by itself' })),
  created_at: Timestamp,
  updated_at: Timestamp,
};
const SecretOnce = Type.Optional(Type.String({ description: 'Shown once, where one was made or given' }));

export const WebhookAnswer = one(strict(view));
export const WebhookWithSecretAnswer = one(strict({ ...view, secret: SecretOnce }));
export const WebhookPage = page(strict(view));
export const WebhookQuery = strict({ ...PageQuery, project_id: Type.Optional(ProjectId) });

export const SigningSecretBody = strict({ url: WebhookUrl, project_id: Type.Optional(ProjectId) });
export const SigningSecretAnswer = one(strict({ secret: Type.String() }));
