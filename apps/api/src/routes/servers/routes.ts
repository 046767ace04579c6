import type { FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import type { Caller } from '../../jobs-port.ts';
import { jobCaller } from '../../plugins/accepted-job.ts';
import { createAccess, notFound } from '../../plugins/access.ts';
import { type Actor, actorOf, type Role } from '../../plugins/actor.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { answerJob } from '../jobs/answer-job.ts';
import { JobAnswer as EndedJobAnswer } from '../jobs/schemas.ts';
import { Deleted, IdParams, NoBody } from '../shapes.ts';
import { changeServer } from './change-server.ts';
import { createServer } from './create-server.ts';
import { findServer } from './find-server.ts';
import {
  JobAnswer,
  NewServerAnswer,
  NewServerBody,
  ServerAnswer,
  ServerChangesBody,
  ServerPage,
  ServerQuery,
} from './schemas.ts';
import { serverView } from './view.ts';

const tags = ['Servers'];

export function serverRoutes(app: Api, deps: AppDeps): void {
  const { db, jobs } = deps;
  const access = createAccess(db);
  const find = (actor: Actor, { id }: { id: string }, wanted: Role) =>
    findServer({ db, access }, actor, id, wanted);

  app.get(
    '/api/servers',
    {
      schema: {
        tags,
        summary: 'List the servers you can see',
        querystring: ServerQuery,
        response: { 200: ServerPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage, project_id: projectId, pool, environment } = request.query;
      const scope = await access.scope(actorOf(request));
      const filter = {
        ...(projectId === undefined ? {} : { projectId }),
        ...(pool === undefined ? {} : { pool }),
        ...(environment === undefined ? {} : { environment }),
      };
      return pageOf(await db.servers.list({ page, perPage, scope, ...filter }), serverView);
    },
  );

  app.post(
    '/api/servers',
    {
      config: {
        audit: { action: 'server.create', target: 'server', shows: ['name', 'kind', 'pool', 'project_id'] },
        role: 'operator',
        idempotent: true,
        errors: ['NOT_FOUND', 'CONFLICT', 'POOL_NOT_FOUND', 'LOCAL_NOT_ALLOWED'],
      },
      schema: {
        tags,
        summary: 'Add a server; over ssh its first test starts at once',
        body: NewServerBody,
        response: { 201: NewServerAnswer },
      },
    },
    async (request, reply) => {
      const made = await createServer({ ...deps, access, log: request.log }, callerOf(request), request.body);
      return reply
        .code(201)
        .header('location', `/api/servers/${made.server.id}`)
        .send(ok({ ...serverView(made.server), test_job_id: made.testJobId, test_error: made.testError }));
    },
  );

  app.get(
    '/api/servers/:id',
    {
      config: { needs: 'viewer' },
      schema: { tags, summary: 'One server', params: IdParams, response: { 200: ServerAnswer } },
    },
    async (request) => ok(serverView(await find(actorOf(request), request.params, 'viewer'))),
  );

  app.patch(
    '/api/servers/:id',
    {
      config: {
        audit: { action: 'server.update', target: 'server', param: 'id', shows: ['name', 'pool'] },
        needs: 'operator',
        errors: ['CONFLICT', 'CREDENTIALS_REQUIRED', 'POOL_NOT_FOUND'],
      },
      schema: {
        tags,
        summary: 'Change a server; a new host, port or pool needs its credentials again',
        params: IdParams,
        body: ServerChangesBody,
        response: { 200: ServerAnswer },
      },
    },
    async (request) => {
      const { id } = await find(actorOf(request), request.params, 'operator');
      return ok(serverView(await changeServer(deps, id, request.body)));
    },
  );

  app.delete(
    '/api/servers/:id',
    {
      config: {
        audit: { action: 'server.delete', target: 'server', param: 'id' },
        needs: 'operator',
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Delete a server and its services; its backups stay',
        params: IdParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      const server = await find(actorOf(request), request.params, 'operator');
      if (!(await db.servers.delete(server.id))) throw notFound('server');
      return deleted('server');
    },
  );

  app.post(
    '/api/servers/:id/test',
    {
      config: {
        audit: { action: 'server.test', target: 'server', param: 'id' },
        idempotent: true,
        needs: 'operator',
        errors: ['POOL_NOT_FOUND', 'CREDENTIALS_REQUIRED', 'HOST_KEY_NOT_PINNED'],
      },
      schema: {
        tags,
        summary: 'Test a server, as a job: reachable, host key, tools',
        params: IdParams,
        body: NoBody,
        response: { 200: EndedJobAnswer, 202: JobAnswer },
      },
    },
    async (request, reply) => {
      const server = await find(actorOf(request), request.params, 'operator');
      return answerJob(deps, request, reply, await jobs.startServerTest(server, jobCaller(request)));
    },
  );

  app.post(
    '/api/servers/:id/reseal',
    {
      config: {
        audit: { action: 'server.reseal', target: 'server', param: 'id' },
        role: 'admin',
        idempotent: true,
        errors: ['NOT_SUPPORTED', 'POOL_NOT_FOUND'],
      },
      schema: {
        tags,
        summary:
          'Move a server’s credentials and its databases’ passwords to its pool’s current key, as a job',
        params: IdParams,
        body: NoBody,
        response: { 200: EndedJobAnswer, 202: JobAnswer },
      },
    },
    async (request, reply) => {
      const server = await find(actorOf(request), request.params, 'admin');
      return answerJob(deps, request, reply, await jobs.startReseal(server, jobCaller(request)));
    },
  );
}

function callerOf(request: FastifyRequest): Caller {
  return { actor: actorOf(request), requestId: request.id };
}
