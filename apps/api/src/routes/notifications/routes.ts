import type { Database, DeliveryRecord } from '@tarfleet/db';
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { type Access, notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { ok, pageOf } from '../answers.ts';
import { IdParams, NoBody } from '../shapes.ts';
import { operatedScope } from './operated-scope.ts';
import { resend } from './resend.ts';
import { DeliveryAnswer, DeliveryDetailsAnswer, DeliveryPage, NotificationQuery } from './schemas.ts';
import { deliveryDetails, deliveryView } from './view.ts';

const tags = ['Notifications'];

interface NotificationDeps {
  db: Pick<Database, 'deliveries' | 'projectMembers'>;
  access: Access;
}

/** Every delivery of a project, those to addresses too that requests have named: what failed must be seen somewhere. */
export function notificationRoutes(app: Api, { db, access }: NotificationDeps): void {
  const find = async (request: FastifyRequest, id: string): Promise<DeliveryRecord> => {
    const delivery = await db.deliveries.get(id);
    if (!delivery) throw notFound('notification');
    await access.require(actorOf(request), delivery.projectId, 'operator', notFound('notification'));
    return delivery;
  };

  app.get(
    '/api/notifications',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'What was told to webhooks and mailboxes in the last 30 days, newest first',
        description: 'Of the projects in which you are operator.',
        querystring: NotificationQuery,
        response: { 200: DeliveryPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage, backup_id: backupId, ...filter } = request.query;
      const scope = await operatedScope(db, actorOf(request));
      const ofBackup = backupId === undefined ? {} : { backupId };
      return pageOf(await db.deliveries.list({ page, perPage, scope, ...filter, ...ofBackup }), deliveryView);
    },
  );

  app.get(
    '/api/notifications/:id',
    {
      config: { needs: 'operator' },
      schema: {
        tags,
        summary: 'One delivery, with what is sent',
        params: IdParams,
        response: { 200: DeliveryDetailsAnswer },
      },
    },
    async (request) => ok(deliveryDetails(await find(request, request.params.id))),
  );

  app.post(
    '/api/notifications/:id/resend',
    {
      config: {
        audit: { action: 'notification.resend', target: 'notification', param: 'id' },
        needs: 'operator',
        idempotent: true,
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Send a delivery again, now',
        params: IdParams,
        body: NoBody,
        response: { 202: DeliveryAnswer },
      },
    },
    async (request, reply) => {
      const { id } = await find(request, request.params.id);
      const again = await resend(db, id);
      reply.code(202).header('location', `/api/notifications/${id}`);
      return ok(deliveryView(again));
    },
  );
}
