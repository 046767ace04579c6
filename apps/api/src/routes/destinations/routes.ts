import type { DestinationRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { jobCaller } from '../../plugins/accepted-job.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { answerJob } from '../jobs/answer-job.ts';
import { JobAnswer as EndedJobAnswer } from '../jobs/schemas.ts';
import { Deleted, IdParams, PageQuery, strict } from '../shapes.ts';
import { addDestination, changeDestination, newDestination } from './change-destination.ts';
import {
  DestinationAnswer,
  DestinationChangesBody,
  DestinationPage,
  JobAnswer,
  NewDestinationBody,
  TestBody,
  TriedDestinationBody,
} from './schemas.ts';
import { destinationView } from './view.ts';

const tags = ['Destinations'];
const config = { role: 'admin' } as const;

/** For admins: a destination holds every project's backups. */
export function destinationRoutes(app: Api, deps: AppDeps): void {
  const { db, jobs } = deps;
  const find = async (id: string): Promise<DestinationRecord> => {
    const destination = await db.destinations.get(id);
    if (!destination) throw missing();
    return destination;
  };

  app.get(
    '/api/destinations',
    {
      config,
      schema: {
        tags,
        summary: 'List destinations',
        querystring: strict(PageQuery),
        response: { 200: DestinationPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      return pageOf(await db.destinations.list({ page, perPage }), destinationView);
    },
  );

  app.post(
    '/api/destinations',
    {
      config: {
        ...config,
        audit: {
          action: 'destination.create',
          target: 'destination',
          shows: ['name', 'type', 'is_default', 'enabled'],
        },
        idempotent: true,
        errors: ['CONFLICT', 'LOCAL_NOT_ALLOWED'],
      },
      schema: {
        tags,
        summary: 'Add a destination',
        body: NewDestinationBody,
        response: { 201: DestinationAnswer },
      },
    },
    async (request, reply) => {
      const destination = await addDestination(deps, newDestination(deps, request.body));
      return reply
        .code(201)
        .header('location', `/api/destinations/${destination.id}`)
        .send(ok(destinationView(destination)));
    },
  );

  app.post(
    '/api/destinations/test',
    {
      config: {
        ...config,
        audit: { action: 'destination.try', target: 'job', shows: ['name', 'type'] },
        idempotent: true,
        errors: ['LOCAL_NOT_ALLOWED', 'POOL_NOT_FOUND', 'UNAVAILABLE'],
      },
      schema: {
        tags,
        summary: 'Test settings before they are stored: write, read back and delete a small object, as a job',
        body: TriedDestinationBody,
        response: { 200: EndedJobAnswer, 202: JobAnswer },
      },
    },
    async (request, reply) => {
      const { pool, ...settings } = request.body;
      const tried = newDestination(deps, { name: 'that is tried', ...settings });
      return answerJob(
        deps,
        request,
        reply,
        await jobs.startDestinationTest(tried, jobCaller(request), pool),
      );
    },
  );

  app.get(
    '/api/destinations/:id',
    {
      config,
      schema: { tags, summary: 'One destination', params: IdParams, response: { 200: DestinationAnswer } },
    },
    async (request) => ok(destinationView(await find(request.params.id))),
  );

  app.patch(
    '/api/destinations/:id',
    {
      config: {
        ...config,
        audit: {
          action: 'destination.update',
          target: 'destination',
          param: 'id',
          shows: ['name', 'is_default', 'enabled'],
        },
        errors: ['CONFLICT', 'CREDENTIALS_REQUIRED', 'LOCAL_NOT_ALLOWED'],
      },
      schema: {
        tags,
        summary: 'Change a destination; a new endpoint, bucket, host or account needs its credentials again',
        params: IdParams,
        body: DestinationChangesBody,
        response: { 200: DestinationAnswer },
      },
    },
    async (request) => {
      const changed = await changeDestination(deps, request.params.id, request.body);
      if (!changed) throw missing();
      return ok(destinationView(changed));
    },
  );

  app.delete(
    '/api/destinations/:id',
    {
      config: {
        ...config,
        audit: { action: 'destination.delete', target: 'destination', param: 'id' },
        errors: ['DESTINATION_IN_USE'],
      },
      schema: {
        tags,
        summary: 'Delete a destination that holds no backups',
        params: IdParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      if (!(await db.destinations.delete(request.params.id))) throw missing();
      return deleted('destination');
    },
  );

  app.post(
    '/api/destinations/:id/test',
    {
      config: {
        ...config,
        audit: { action: 'destination.test', target: 'destination', param: 'id' },
        idempotent: true,
        errors: ['POOL_NOT_FOUND', 'UNAVAILABLE'],
      },
      schema: {
        tags,
        summary: 'Write, read back and delete a small object, as a job',
        params: IdParams,
        body: TestBody,
        response: { 200: EndedJobAnswer, 202: JobAnswer },
      },
    },
    async (request, reply) => {
      const destination = await find(request.params.id);
      return answerJob(
        deps,
        request,
        reply,
        await jobs.startDestinationTest(destination, jobCaller(request), request.body?.pool),
      );
    },
  );
}

function missing(): AppError {
  return new AppError('NOT_FOUND', 'There is no such destination.');
}
