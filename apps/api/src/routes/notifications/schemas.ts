import { NOTIFICATION_EVENTS, Timestamp, Uuid } from '@tarfleet/contracts';
import { DELIVERY_CHANNELS, DELIVERY_STATES } from '@tarfleet/db';
import { type Static, Type } from 'typebox';
import { TEST_EVENT } from '../../notifier/payload.ts';
import { nullable, one, PageQuery, ProjectId, page, strict } from '../shapes.ts';

export const WebhookDeliveryParams = strict({ id: Uuid, delivery_id: Uuid });
export type WebhookDeliveryParams = Static<typeof WebhookDeliveryParams>;

const filters = {
  ...PageQuery,
  state: Type.Optional(Type.Enum([...DELIVERY_STATES])),
  event: Type.Optional(Type.Enum([...NOTIFICATION_EVENTS, TEST_EVENT])),
};
export const WebhookDeliveryQuery = strict(filters);
export const NotificationQuery = strict({
  ...filters,
  channel: Type.Optional(Type.Enum([...DELIVERY_CHANNELS])),
  backup_id: Type.Optional(Uuid),
});

const view = {
  id: Type.String({
    ...Uuid,
    description: 'Of a webhook’s also the header webhook-id, the same at every try',
  }),
  project_id: ProjectId,
  channel: Type.Enum([...DELIVERY_CHANNELS]),
  webhook_id: nullable(Type.String({ description: 'Null when a request named the address' })),
  target: nullable(Type.String({ description: 'The address that a request named' })),
  event: Type.String(),
  backup_id: nullable(Type.String()),
  job_id: nullable(Type.String()),
  state: Type.Enum([...DELIVERY_STATES]),
  attempts: Type.Integer({ description: 'Begun so far, one in hand included' }),
  last_attempt_at: nullable(Timestamp),
  last_status: nullable(
    Type.Integer({ description: 'The receiver’s or mail server’s answer to the last one' }),
  ),
  last_error: nullable(Type.String()),
  next_attempt_at: nullable(Type.String({ description: 'Null once it has ended' })),
  created_at: Timestamp,
  ended_at: nullable(Timestamp),
};
const DeliveryView = strict(view);
export const DeliveryAnswer = one(DeliveryView);
export const DeliveryPage = page(DeliveryView);
export const DeliveryDetailsAnswer = one(
  strict({ ...view, payload: Type.Object({}, { additionalProperties: true }) }),
);
