import type { Database, JobRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import { type CancelOptions, cancelJob } from '../../cancel.ts';
import { streamEvents } from '../../live/event-stream.ts';
import type { LiveHub } from '../../live/hub.ts';
import { type Access, notFound } from '../../plugins/access.ts';
import { actorOf, type Role } from '../../plugins/actor.ts';
import { ok } from '../answers.ts';
import { IdParams } from '../shapes.ts';
import { CancelAnswer, CancelBody, EventsHeaders, EventsQuery, JobAnswer } from './schemas.ts';
import { showJob } from './show-job.ts';

export interface JobRoutesOptions {
  db: Database;
  access: Access;
  hub: LiveHub;
  cancel: CancelOptions;
}

/** Any job by its id: how it is, its events as they come, and its end on request. */
export function jobRoutes(app: Api, { db, access, hub, cancel }: JobRoutesOptions): void {
  const find = async (request: FastifyRequest, id: string, wanted: Role): Promise<JobRecord> => {
    const job = await db.jobs.get(id);
    if (!job) throw notFound('job');
    await access.require(actorOf(request), job.projectId, wanted, notFound('job'));
    return job;
  };

  app.get(
    '/api/jobs/:id',
    {
      config: { rateLimit: 'status', needs: 'viewer' },
      schema: {
        tags: ['Jobs'],
        summary: 'Show a job: state, progress, steps',
        params: IdParams,
        response: { 200: JobAnswer },
      },
    },
    async (request) => ok(await showJob(db, await find(request, request.params.id, 'viewer'))),
  );

  app.get(
    '/api/jobs/:id/events',
    {
      config: { needs: 'viewer' },
      schema: {
        tags: ['Jobs'],
        summary: 'Follow a job: stored events first, then live, as server-sent events',
        description:
          'Ends with an `end` event when the job has ended. `Last-Event-ID` (or `last_event_id`) resumes. `progress` events carry no id and may be lost.',
        params: IdParams,
        querystring: EventsQuery,
        headers: EventsHeaders,
        response: { 200: { content: { 'text/event-stream': { schema: Type.String() } } } },
      },
    },
    async (request, reply) => {
      const job = await find(request, request.params.id, 'viewer');
      const after = request.headers['last-event-id'] || request.query.last_event_id || '0';
      reply.hijack();
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      reply.raw.flushHeaders();
      try {
        await streamEvents({ db, hub }, job.id, BigInt(after), reply.raw);
      } catch (error) {
        // The answer has begun: all that can be done is to end it, so that the client comes again.
        request.log.warn({ err: error, jobId: job.id }, 'event stream broke off');
        reply.raw.destroy();
      }
    },
  );

  app.post(
    '/api/jobs/:id/cancel',
    {
      config: {
        audit: { action: 'job.cancel', target: 'job', param: 'id', shows: ['reason'] },
        needs: 'operator',
        errors: ['JOB_FINISHED'],
      },
      schema: {
        tags: ['Jobs'],
        summary: 'Cancel a job',
        description: 'What a worker has begun ends within about 2 seconds; GET the job to see it.',
        params: IdParams,
        body: CancelBody,
        response: { 202: CancelAnswer },
      },
    },
    async (request, reply) => {
      const job = await find(request, request.params.id, 'operator');
      if (job.endedAt !== null)
        throw new AppError('JOB_FINISHED', `The job has ended already: ${job.state}.`);
      const { email } = actorOf(request);
      const after = await cancelJob(cancel, job, request.body?.reason ?? `Cancelled by ${email}`);
      reply.code(202).header('location', `/api/jobs/${after.id}`);
      const message = after.endedAt === null ? 'The job is being cancelled.' : 'The job is cancelled.';
      return { success: true as const, data: await showJob(db, after), message };
    },
  );
}
