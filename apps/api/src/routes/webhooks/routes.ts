import type { WebhookRecord } from '@tarfleet/db';
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import type { AddressGuard } from '../../notifier/address-guard.ts';
import type { RequestSecrets } from '../../notifier/signature.ts';
import { type Access, notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { operatedScope } from '../notifications/operated-scope.ts';
import { Deleted, IdParams } from '../shapes.ts';
import { changeWebhook, createWebhook } from './change-webhook.ts';
import { webhookDeliveryRoutes } from './deliveries.ts';
import {
  NewWebhookBody,
  SigningSecretAnswer,
  SigningSecretBody,
  WebhookAnswer,
  WebhookChangesBody,
  WebhookPage,
  WebhookQuery,
  WebhookWithSecretAnswer,
} from './schemas.ts';
import { webhookView } from './view.ts';

const tags = ['Notifications'];

export type WebhookDeps = Pick<AppDeps, 'db' | 'vault'> & {
  access: Access;
  guard: AddressGuard;
  requestSecrets: RequestSecrets;
};

/** For a project's operators: an address often is a secret itself, and what is told there is the project's. */
export function webhookRoutes(app: Api, deps: WebhookDeps): void {
  const { db, access, requestSecrets } = deps;
  const find = async (request: FastifyRequest, id: string): Promise<WebhookRecord> => {
    const webhook = await db.webhooks.get(id);
    if (!webhook) throw notFound('webhook');
    await access.require(actorOf(request), webhook.projectId, 'operator', notFound('webhook'));
    return webhook;
  };
  const projectOf = async (request: FastifyRequest, asked: number | undefined): Promise<number> => {
    const projectId = asked ?? (await db.projects.ensureDefault()).id;
    await access.require(actorOf(request), projectId, 'operator', notFound('project'));
    if (!(await db.projects.get(projectId))) throw notFound('project');
    return projectId;
  };

  app.get(
    '/api/webhooks',
    {
      config: { role: 'operator' },
      schema: {
        tags,
        summary: 'List the webhooks of the projects in which you are operator',
        querystring: WebhookQuery,
        response: { 200: WebhookPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage, project_id: projectId } = request.query;
      const scope = await operatedScope(db, actorOf(request));
      const filter = projectId === undefined ? {} : { projectId };
      return pageOf(await db.webhooks.list({ page, perPage, scope, ...filter }), webhookView);
    },
  );

  app.post(
    '/api/webhooks',
    {
      config: {
        audit: { action: 'webhook.create', target: 'webhook', shows: ['events', 'project_id'] },
        role: 'operator',
        idempotent: 'secret',
        errors: ['NOT_FOUND', 'CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Add a webhook; its secret is shown in this answer alone',
        body: NewWebhookBody,
        response: { 201: WebhookWithSecretAnswer },
      },
    },
    async (request, reply) => {
      const projectId = await projectOf(request, request.body.project_id);
      const { webhook, secret } = await createWebhook(deps, projectId, request.body);
      return reply
        .code(201)
        .header('location', `/api/webhooks/${webhook.id}`)
        .send(ok({ ...webhookView(webhook), secret }));
    },
  );

  app.get(
    '/api/webhooks/:id',
    {
      config: { needs: 'operator' },
      schema: { tags, summary: 'One webhook', params: IdParams, response: { 200: WebhookAnswer } },
    },
    async (request) => ok(webhookView(await find(request, request.params.id))),
  );

  app.patch(
    '/api/webhooks/:id',
    {
      config: {
        audit: {
          action: 'webhook.update',
          target: 'webhook',
          param: 'id',
          shows: ['events', 'enabled', 'renew_secret'],
        },
        needs: 'operator',
        errors: ['CREDENTIALS_REQUIRED'],
      },
      schema: {
        tags,
        summary: 'Change a webhook; a new url needs its secret again, or a new one',
        params: IdParams,
        body: WebhookChangesBody,
        response: { 200: WebhookWithSecretAnswer },
      },
    },
    async (request) => {
      const { id } = await find(request, request.params.id);
      const changed = await changeWebhook(deps, id, request.body);
      if (!changed) throw notFound('webhook');
      const { webhook, secret } = changed;
      return ok({ ...webhookView(webhook), ...(secret === null ? {} : { secret }) });
    },
  );

  app.delete(
    '/api/webhooks/:id',
    {
      config: {
        audit: { action: 'webhook.delete', target: 'webhook', param: 'id' },
        needs: 'operator',
      },
      schema: {
        tags,
        summary: 'Delete a webhook and its deliveries',
        params: IdParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      const { id } = await find(request, request.params.id);
      if (!(await db.webhooks.delete(id))) throw notFound('webhook');
      return deleted('webhook');
    },
  );

  app.post(
    '/api/webhooks/signing-secret',
    {
      config: {
        audit: { action: 'webhook.reveal', target: 'webhook', shows: ['project_id'] },
        role: 'admin',
        errors: ['NOT_FOUND'],
      },
      schema: {
        tags,
        summary: 'The secret that signs what is told to an address named by a request’s notification',
        body: SigningSecretBody,
        response: { 200: SigningSecretAnswer },
      },
    },
    async (request) => {
      const projectId = await projectOf(request, request.body.project_id);
      return ok({ secret: requestSecrets(projectId, request.body.url) });
    },
  );

  webhookDeliveryRoutes(app, { db, find });
}
