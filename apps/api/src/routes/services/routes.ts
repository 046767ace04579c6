import type { ServerRecord, ServiceRecord } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { createAccess, notFound } from '../../plugins/access.ts';
import { type Actor, actorOf, type Role } from '../../plugins/actor.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { findServer } from '../servers/find-server.ts';
import { Deleted, IdParams } from '../shapes.ts';
import {
  NewServiceBody,
  ServiceAnswer,
  ServiceChangesBody,
  ServicePage,
  ServiceParams,
  ServiceQuery,
} from './schemas.ts';
import { changeService, createService, deleteService } from './store-service.ts';
import { serviceView } from './view.ts';

const tags = ['Services'];
const WITHIN = { target: 'server', param: 'id' } as const;

export function serviceRoutes(app: Api, { db, vault }: AppDeps): void {
  const access = createAccess(db);
  const server = (actor: Actor, id: string, wanted: Role) => findServer({ db, access }, actor, id, wanted);
  const find = async (
    actor: Actor,
    params: { id: string; serviceId: string },
    wanted: Role,
  ): Promise<{ server: ServerRecord; service: ServiceRecord }> => {
    const owner = await server(actor, params.id, wanted);
    const service = await db.services.get(params.serviceId);
    if (!service || service.serverId !== owner.id) throw notFound('service');
    return { server: owner, service };
  };

  app.get(
    '/api/servers/:id/services',
    {
      config: { needs: 'viewer' },
      schema: {
        tags,
        summary: 'List a server’s services',
        params: IdParams,
        querystring: ServiceQuery,
        response: { 200: ServicePage },
      },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      const { id } = await server(actorOf(request), request.params.id, 'viewer');
      return pageOf(await db.services.list(id, { page, perPage }), serviceView);
    },
  );

  app.post(
    '/api/servers/:id/services',
    {
      config: {
        audit: { action: 'service.create', target: 'service', within: WITHIN, shows: ['name', 'type'] },
        idempotent: true,
        needs: 'operator',
        errors: ['CREDENTIALS_REQUIRED', 'POOL_NOT_FOUND', 'CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Add a service',
        params: IdParams,
        body: NewServiceBody,
        response: { 201: ServiceAnswer },
      },
    },
    async (request, reply) => {
      const owner = await server(actorOf(request), request.params.id, 'operator');
      const { id } = owner;
      const service = await createService({ db, vault }, owner, request.body);
      return reply
        .code(201)
        .header('location', `/api/servers/${id}/services/${service.id}`)
        .send(ok(serviceView(service)));
    },
  );

  app.get(
    '/api/servers/:id/services/:serviceId',
    {
      config: { needs: 'viewer' },
      schema: { tags, summary: 'One service', params: ServiceParams, response: { 200: ServiceAnswer } },
    },
    async (request) => ok(serviceView((await find(actorOf(request), request.params, 'viewer')).service)),
  );

  app.patch(
    '/api/servers/:id/services/:serviceId',
    {
      config: {
        audit: {
          action: 'service.update',
          target: 'service',
          param: 'serviceId',
          within: WITHIN,
          shows: ['name'],
        },
        needs: 'operator',
        errors: ['CREDENTIALS_REQUIRED', 'POOL_NOT_FOUND', 'CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Change a service',
        params: ServiceParams,
        body: ServiceChangesBody,
        response: { 200: ServiceAnswer },
      },
    },
    async (request) => {
      const found = await find(actorOf(request), request.params, 'operator');
      return ok(serviceView(await changeService({ db, vault }, found.server, found.service, request.body)));
    },
  );

  app.delete(
    '/api/servers/:id/services/:serviceId',
    {
      config: {
        audit: { action: 'service.delete', target: 'service', param: 'serviceId', within: WITHIN },
        needs: 'operator',
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Delete a service; its backups stay',
        params: ServiceParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      await deleteService(db, (await find(actorOf(request), request.params, 'operator')).service);
      return deleted('service');
    },
  );
}
