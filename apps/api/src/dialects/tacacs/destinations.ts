import type { DestinationRecord, NewDestination } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Api } from '../../api-type.ts';
import { assertNotFailed, waitAsPreferred } from '../../live/wait-as-preferred.ts';
import { jobCaller } from '../../plugins/accepted-job.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { deleted } from '../../routes/answers.ts';
import {
  addDestination,
  changeDestination,
  newDestination,
  previewChange,
} from '../../routes/destinations/change-destination.ts';
import { checkPlace } from '../../routes/destinations/check-place.ts';
import { TestBody } from '../../routes/destinations/schemas.ts';
import { Deleted, IdParams } from '../../routes/shapes.ts';
import type { TacacsDeps } from './deps.ts';
import { ofBasePath, toChanges, toNewDestination, viewDestination } from './destination-config.ts';
import { ChangesBody, ListAnswer, ListQuery, NewBody, OneAnswer, TestAnswer } from './destination-schemas.ts';
import { tryConnection } from './try-connection.ts';

const tags = ['Appliance'];
const config = { role: 'admin' } as const;
const ROOT = '/api/admin/backup/destinations';
const TRY_ERRORS = [
  ...['CONFLICT', 'LOCAL_NOT_ALLOWED', 'POOL_NOT_FOUND', 'UNAVAILABLE'],
  ...['DESTINATION_UNREACHABLE', 'DESTINATION_AUTH_FAILED', 'DESTINATION_NOT_FOUND', 'DESTINATION_READ_ONLY'],
  ...['STORAGE_FULL', 'STORAGE_FAILED'],
] as const;

/** Document 5's destinations: tried before they are saved. */
export function tacacsDestinationRoutes(app: Api, deps: TacacsDeps): void {
  const { db } = deps;
  const find = async (id: string): Promise<DestinationRecord> => {
    const destination = await db.destinations.get(id);
    if (!destination) throw missing(id);
    return destination;
  };

  app.get(
    ROOT,
    {
      config,
      schema: { tags, summary: 'List destinations', querystring: ListQuery, response: { 200: ListAnswer } },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      const { items, total } = await db.destinations.list({ page, perPage });
      const pagination = { page, per_page: perPage, total, total_pages: Math.ceil(total / perPage) };
      return { success: true as const, data: { destinations: items.map(viewDestination), pagination } };
    },
  );

  app.post(
    ROOT,
    {
      config: {
        ...config,
        audit: { action: 'destination.create', target: 'destination', shows: ['name', 'type', 'is_default'] },
        idempotent: true,
        errors: [...TRY_ERRORS],
      },
      schema: {
        tags,
        summary: 'Add a destination, once its connection has been tried',
        description:
          'Waits up to 30 seconds for a worker to write, read and remove an object there. What fails is answered, and nothing is saved.',
        body: NewBody,
        response: { 201: OneAnswer },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const wanted = await ofBasePath(body.config, body.type, () =>
        newDestination(deps, toNewDestination(body, deps.config.BACKUP_RETENTION_DAYS)),
      );
      const tried = body.test_connection !== false;
      // What will be refused anyway is not tried first.
      if (await db.destinations.findByName(body.name)) {
        throw new AppError('CONFLICT', `There is a destination named ${body.name} already.`);
      }
      await checkPlace(db, wanted);
      if (tried) await tryConnection(deps, request, unsaved(wanted), body.pool);
      const destination = await addDestination(deps, { ...wanted, testedAt: tried ? new Date() : null });
      return reply
        .code(201)
        .header('location', `${ROOT}/${destination.id}`)
        .send({
          success: true,
          data: viewDestination(destination),
          message: tried ? 'Connection tested, destination created' : 'Destination created, not tested',
        });
    },
  );

  app.get(
    `${ROOT}/:id`,
    {
      config,
      schema: { tags, summary: 'One destination', params: IdParams, response: { 200: OneAnswer } },
    },
    async (request) => ({ success: true as const, data: viewDestination(await find(request.params.id)) }),
  );

  app.put(
    `${ROOT}/:id`,
    {
      config: {
        ...config,
        audit: {
          action: 'destination.update',
          target: 'destination',
          param: 'id',
          shows: ['name', 'enabled'],
        },
        errors: [...TRY_ERRORS, 'CREDENTIALS_REQUIRED', 'NOT_FOUND'],
      },
      schema: {
        tags,
        summary: 'Change a destination; with another config its connection is tried first',
        description: 'What is left out stays as it is, of config too.',
        params: IdParams,
        body: ChangesBody,
        response: { 200: OneAnswer },
      },
    },
    async (request) => {
      const { body, params } = request;
      const before = await find(params.id);
      const changes = await ofBasePath(body.config, before.type, () => toChanges(body, before.type));
      const after = await ofBasePath(body.config, before.type, () => previewChange(deps, before, changes));
      const tried = changes.config !== undefined && body.test_connection !== false;
      if (tried) await tryConnection(deps, request, after, body.pool);
      const changed = await changeDestination(deps, params.id, changes, {
        ...(tried ? { since: before, testedAt: new Date() } : {}),
      });
      if (!changed) throw missing(params.id);
      return {
        success: true as const,
        data: viewDestination(changed),
        message: tried ? 'Connection tested, destination updated' : 'Destination updated',
      };
    },
  );

  app.delete(
    `${ROOT}/:id`,
    {
      config: {
        ...config,
        audit: { action: 'destination.delete', target: 'destination', param: 'id' },
        errors: ['DESTINATION_IN_USE', 'NOT_FOUND'],
      },
      schema: {
        tags,
        summary: 'Delete a destination that holds no backups',
        params: IdParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      if (!(await db.destinations.delete(request.params.id))) throw missing(request.params.id);
      return deleted('destination');
    },
  );

  app.post(
    `${ROOT}/:id/test`,
    {
      config: {
        ...config,
        audit: { action: 'destination.test', target: 'destination', param: 'id' },
        idempotent: true,
        errors: ['POOL_NOT_FOUND', 'NOT_FOUND', 'UNAVAILABLE'],
      },
      schema: {
        tags,
        summary: 'Test a destination’s connection: write, read back and delete a small object',
        params: IdParams,
        body: TestBody,
        response: { 200: TestAnswer, 202: TestAnswer },
      },
    },
    async (request, reply) => {
      const destination = await find(request.params.id);
      const pool = request.body?.pool;
      const { id } = await deps.jobs.startDestinationTest(destination, jobCaller(request), pool);
      const job = await waitAsPreferred(deps, request, id, preferredWait(request, reply));
      assertNotFailed(job);
      const result = job?.result?.kind === 'destination-test' ? job.result : null;
      const failure = result?.failure ?? null;
      reply.code(result ? 200 : 202).header('location', `/api/jobs/${id}`);
      return {
        success: true as const,
        data: {
          ...{ destination_id: destination.id, job_id: id },
          ...{ reachable: result?.reachable ?? null, writable: result?.writable ?? null },
          latency_ms: result?.latencyMs ?? null,
          error: failure && { code: failure.code, message: failure.message },
        },
        message: !result
          ? 'Connection test started'
          : result.writable
            ? 'Connection test succeeded'
            : 'Connection test failed',
      };
    },
  );
}

/** As the workers would see it. */
function unsaved(wanted: NewDestination): DestinationRecord {
  const at = new Date();
  return {
    ...{ retention: null, capacityBytes: null, enabled: true, testedAt: null, testError: null },
    ...{ createdAt: at, updatedAt: at, id: '' },
    ...wanted,
  } as DestinationRecord;
}

function missing(id: string): AppError {
  return new AppError('NOT_FOUND', `There is no destination ${id}.`);
}
