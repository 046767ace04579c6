import type { Database, WebhookRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import type { Api } from '../../api-type.ts';
import { TEST_EVENT } from '../../notifier/payload.ts';
import { notFound } from '../../plugins/access.ts';
import { ok, pageOf } from '../answers.ts';
import { resend } from '../notifications/resend.ts';
import {
  DeliveryAnswer,
  DeliveryDetailsAnswer,
  DeliveryPage,
  WebhookDeliveryParams,
  WebhookDeliveryQuery,
} from '../notifications/schemas.ts';
import { deliveryDetails, deliveryView } from '../notifications/view.ts';
import { IdParams, NoBody } from '../shapes.ts';

const tags = ['Notifications'];

interface DeliveryDeps {
  db: Pick<Database, 'webhooks' | 'deliveries'>;
  /** The webhook, for those who may have it. */
  find(request: FastifyRequest, id: string): Promise<WebhookRecord>;
}

/** What a webhook was told, what became of it, and how it is told again. */
export function webhookDeliveryRoutes(app: Api, { db, find }: DeliveryDeps): void {
  const findDelivery = async (request: FastifyRequest, params: WebhookDeliveryParams) => {
    const webhook = await find(request, params.id);
    const delivery = await db.deliveries.get(params.delivery_id);
    if (delivery?.webhookId !== webhook.id) throw notFound('delivery');
    return { webhook, delivery };
  };

  app.get(
    '/api/webhooks/:id/deliveries',
    {
      config: { needs: 'operator' },
      schema: {
        tags,
        summary: 'A webhook’s deliveries of the last 30 days, newest first',
        params: IdParams,
        querystring: WebhookDeliveryQuery,
        response: { 200: DeliveryPage },
      },
    },
    async (request) => {
      const { id: webhookId } = await find(request, request.params.id);
      const { page, per_page: perPage, ...filter } = request.query;
      return pageOf(await db.deliveries.list({ page, perPage, webhookId, ...filter }), deliveryView);
    },
  );

  app.get(
    '/api/webhooks/:id/deliveries/:delivery_id',
    {
      config: { needs: 'operator' },
      schema: {
        tags,
        summary: 'One delivery, with what is sent',
        params: WebhookDeliveryParams,
        response: { 200: DeliveryDetailsAnswer },
      },
    },
    async (request) => ok(deliveryDetails((await findDelivery(request, request.params)).delivery)),
  );

  app.post(
    '/api/webhooks/:id/deliveries/:delivery_id/resend',
    {
      config: {
        audit: { action: 'webhook.resend', target: 'webhook', param: 'id' },
        needs: 'operator',
        idempotent: true,
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Send a delivery again, now, under the same webhook-id',
        params: WebhookDeliveryParams,
        body: NoBody,
        response: { 202: DeliveryAnswer },
      },
    },
    async (request, reply) => {
      const { webhook, delivery } = await findDelivery(request, request.params);
      assertEnabled(webhook);
      const again = await resend(db, delivery.id);
      reply.code(202).header('location', `/api/webhooks/${webhook.id}/deliveries/${delivery.id}`);
      return ok(deliveryView(again));
    },
  );

  app.post(
    '/api/webhooks/:id/test',
    {
      config: {
        audit: { action: 'webhook.test', target: 'webhook', param: 'id' },
        needs: 'operator',
        idempotent: true,
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: `Send ${TEST_EVENT}, once; the delivery says what became of it`,
        params: IdParams,
        body: NoBody,
        response: { 202: DeliveryAnswer },
      },
    },
    async (request, reply) => {
      const webhook = await find(request, request.params.id);
      assertEnabled(webhook);
      const { projectId, id: webhookId } = webhook;
      const data = { webhook_id: webhookId, project_id: projectId };
      const payload = JSON.stringify({ event: TEST_EVENT, timestamp: new Date().toISOString(), data });
      const id = uuidv7();
      await db.deliveries.add([{ id, projectId, webhookId, channel: 'webhook', event: TEST_EVENT, payload }]);
      const delivery = await db.deliveries.get(id);
      if (!delivery) throw notFound('webhook');
      reply.code(202).header('location', `/api/webhooks/${webhookId}/deliveries/${id}`);
      return ok(deliveryView(delivery));
    },
  );
}

function assertEnabled({ enabled }: WebhookRecord): void {
  if (enabled) return;
  throw new AppError(
    'CONFLICT',
    'The webhook is switched off. Switch it on with PATCH {"enabled": true} first.',
  );
}
