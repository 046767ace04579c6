import { Timestamp, Uuid } from '@tarfleet/contracts';
import type { SurveyRecord, UnknownRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { jobCaller } from '../../plugins/accepted-job.ts';
import { pageOf } from '../answers.ts';
import { answerJob } from '../jobs/answer-job.ts';
import { JobAnswer as EndedJobAnswer } from '../jobs/schemas.ts';
import { IdParams, NoBody, nullable, PageQuery, page, strict } from '../shapes.ts';
import { JobAnswer } from './schemas.ts';

const tags = ['Destinations'];
const config = { role: 'admin' } as const;
const Count = Type.Integer({ minimum: 0 });

const UnknownView = strict({
  prefix: Type.String({ description: 'A folder with a slash at its end, or one object' }),
  reason: Type.Enum(['no_backup', 'deleted_backup', 'foreign_name']),
  example: Type.String(),
  objects: Count,
  bytes: Count,
  unfinished_uploads: Count,
  oldest_at: nullable(Timestamp),
  newest_at: nullable(Timestamp),
  first_seen_at: Timestamp,
  last_seen_at: Timestamp,
});

const SurveyView = strict({
  job_id: Uuid,
  state: Type.String(),
  started_at: Timestamp,
  completed_at: nullable(Timestamp),
  objects: nullable(Count),
  bytes: nullable(Count),
  unfinished_uploads: nullable(Count),
  truncated: Type.Boolean({ description: 'More is unknown than is listed here' }),
});

const UnknownPage = strict({ ...page(UnknownView).properties, survey: nullable(SurveyView) });

/** What lies in a destination and belongs to no backup that is known. Nothing here removes any of it. */
export function unknownObjectRoutes(app: Api, deps: AppDeps): void {
  const { db, jobs } = deps;
  const find = async (id: string) => {
    const destination = await db.destinations.get(id);
    if (!destination) throw new AppError('NOT_FOUND', 'There is no such destination.');
    return destination;
  };

  app.get(
    '/api/destinations/:id/unknown-objects',
    {
      config,
      schema: {
        tags,
        summary: 'What the last survey found that belongs to no backup, newest first',
        params: IdParams,
        querystring: strict(PageQuery),
        response: { 200: UnknownPage },
      },
    },
    async (request) => {
      const { id } = await find(request.params.id);
      const { page, per_page: perPage } = request.query;
      const survey = await db.surveys.get(id);
      return {
        ...pageOf(await db.surveys.unknown(id, { page, perPage }), unknownView),
        survey: survey && surveyView(survey),
      };
    },
  );

  app.post(
    '/api/destinations/:id/unknown-objects',
    {
      config: {
        ...config,
        audit: { action: 'destination.survey', target: 'destination', param: 'id' },
        idempotent: true,
        errors: ['CONFLICT', 'POOL_NOT_FOUND'],
      },
      schema: {
        tags,
        summary: 'Look for what belongs to no backup, as a job; nothing is changed at the destination',
        params: IdParams,
        body: NoBody,
        response: { 200: EndedJobAnswer, 202: JobAnswer },
      },
    },
    async (request, reply) => {
      const destination = await find(request.params.id);
      return answerJob(deps, request, reply, await jobs.startSurvey(destination, jobCaller(request)));
    },
  );
}

function unknownView(record: UnknownRecord) {
  return {
    prefix: record.prefix,
    reason: record.reason as 'no_backup' | 'deleted_backup' | 'foreign_name',
    example: record.example,
    objects: record.objects,
    bytes: record.bytes,
    unfinished_uploads: record.uploads,
    oldest_at: record.oldestAt?.toISOString() ?? null,
    newest_at: record.newestAt?.toISOString() ?? null,
    first_seen_at: record.firstSeenAt.toISOString(),
    last_seen_at: record.lastSeenAt.toISOString(),
  };
}

function surveyView(record: SurveyRecord) {
  return {
    job_id: record.jobId,
    state: record.state,
    started_at: record.startedAt.toISOString(),
    completed_at: record.completedAt?.toISOString() ?? null,
    objects: record.objects,
    bytes: record.bytes,
    unfinished_uploads: record.uploads,
    truncated: record.truncated,
  };
}
