import type { ScheduleDraft, ScheduleRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Api } from '../../api-type.ts';
import { checkCopies } from '../../planner/choose-destinations.ts';
import { findServices } from '../../planner/choose-services.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { deleted } from '../../routes/answers.ts';
import { assertNotFailed, waitAsPreferred } from '../../routes/backups/deps.ts';
import { BACKUP_ERRORS } from '../../routes/backups/start-backup.ts';
import { scheduleView } from '../../routes/schedules/view.ts';
import { Deleted, NoBody } from '../../routes/shapes.ts';
import { deleteSchedule } from '../../scheduler/delete-schedule.ts';
import { readTiming } from '../../scheduler/read-timing.ts';
import { planTriggered } from '../../scheduler/trigger.ts';
import type { TacacsDeps } from './deps.ts';
import { TriggerAnswer } from './execution-schemas.ts';
import {
  JobAnswer,
  type JobBody,
  JobParams,
  JobsAnswer,
  ListQuery,
  JobBody as NewJob,
} from './schedule-schemas.ts';
import { toTiming } from './to-timing.ts';
import { viewExecution } from './view-execution.ts';

const tags = ['Appliance'];
const config = { role: 'admin' } as const;
const ROOT = '/api/admin/backup/schedule';

/** Document 5's scheduled jobs, which are schedules like document 2's. */
export function tacacsScheduleRoutes(app: Api, deps: TacacsDeps): void {
  const { db, clock } = deps;

  app.get(
    ROOT,
    {
      config,
      schema: { tags, summary: 'List scheduled jobs', querystring: ListQuery, response: { 200: JobsAnswer } },
    },
    async (request) => {
      const schedules = await db.schedules.list(request.query.project_id ?? null);
      return { success: true as const, data: { jobs: await view(schedules) } };
    },
  );

  app.post(
    ROOT,
    {
      config: {
        ...config,
        audit: {
          action: 'schedule.configure',
          target: 'schedule',
          shows: ['name', 'schedule_type', 'schedule_value', 'destination_id', 'project_id'],
        },
        idempotent: true,
        errors: ['CONFLICT', 'NOT_FOUND', 'COMPONENT_NOT_FOUND'],
      },
      schema: {
        tags,
        summary: 'Add a scheduled job: by cron, by interval, or to be triggered by hand',
        body: NewJob,
        response: { 201: JobAnswer },
      },
    },
    async (request, reply) => {
      const schedule = await db.schedules.create(await toDraft(request.body));
      return reply
        .code(201)
        .header('location', `/api/backups/schedule/${schedule.id}`)
        .send(await answerOne(schedule, 'Scheduled job created'));
    },
  );

  app.delete(
    `${ROOT}/:job_id`,
    {
      config: { ...config, audit: { action: 'schedule.delete', target: 'schedule', param: 'job_id' } },
      schema: {
        tags,
        summary: 'Delete a scheduled job; its backups stay',
        params: JobParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      if (!(await deleteSchedule(db, request.params.job_id))) throw notFound('scheduled job');
      return deleted('scheduled job');
    },
  );

  for (const action of ['pause', 'resume'] as const) {
    app.post(
      `${ROOT}/:job_id/${action}`,
      {
        config: {
          ...config,
          audit: { action: `schedule.${action}`, target: 'schedule', param: 'job_id' },
          errors: ['NOT_FOUND'],
        },
        schema: {
          tags,
          summary:
            action === 'pause'
              ? 'Pause a scheduled job: nothing of it is due'
              : 'Let a paused job go on; what it missed is not made up for',
          params: JobParams,
          body: NoBody,
          response: { 200: JobAnswer },
        },
      },
      async (request) => {
        const schedule = await enable(request.params.job_id, action === 'resume');
        return answerOne(schedule, action === 'pause' ? 'Scheduled job paused' : 'Scheduled job resumed');
      },
    );
  }

  app.post(
    `${ROOT}/:job_id/trigger`,
    {
      config: {
        ...config,
        audit: { action: 'schedule.trigger', target: 'schedule', param: 'job_id' },
        idempotent: true,
        errors: [...BACKUP_ERRORS],
      },
      schema: {
        tags,
        summary: 'Run a scheduled job now, also while it is paused',
        params: JobParams,
        body: NoBody,
        response: { 200: TriggerAnswer, 202: TriggerAnswer },
      },
    },
    async (request, reply) => {
      const schedule = await db.schedules.get(request.params.job_id);
      if (!schedule) throw notFound('scheduled job');
      const { userId } = actorOf(request);
      const by = { userId, requestId: request.id, now: await clock() };
      const draft = await planTriggered(deps, schedule, by);
      await submitFor(request, deps.dispatcher, draft);
      const { id } = draft.root;
      const job = await waitAsPreferred(deps, request, id, preferredWait(request, reply));
      assertNotFailed(job, { backup_id: id });
      const backup = await db.backups.get(id);
      if (!backup) throw new TypeError('what was stored is there');
      reply.code(job?.endedAt ? 200 : 202).header('location', `/api/jobs/${id}`);
      return {
        success: true as const,
        data: { execution_id: id, ...viewExecution(backup), warnings: backup.warnings },
        message: job?.endedAt ? `Backup ${backup.status}` : 'Scheduled job triggered',
      };
    },
  );

  async function toDraft(body: JobBody): Promise<ScheduleDraft> {
    const now = await clock();
    const timing = toTiming(body, now);
    const projectId = body.project_id ?? (await db.projects.ensureDefault()).id;
    if (body.project_id !== undefined && !(await db.projects.get(projectId))) throw notFound('project');
    await assertNameFree(projectId, body.name);
    const { destination_id: destinationId = null, server_id: serverId = null, components = null } = body;
    await findServices(db, { projectId, serverId, components, services: null });
    if (destinationId !== null && !(await db.destinations.get(destinationId))) {
      throw new AppError('NOT_FOUND', `There is no destination ${destinationId}.`);
    }
    const { copy_to: copyTo = [] } = body;
    await checkCopies(db, destinationId, copyTo);
    const enabled = body.enabled ?? true;
    return {
      ...{ projectId, name: body.name, type: 'full', enabled, ...timing },
      ...{ catchUp: true, maxLatenessSeconds: 900, components: components ?? [], services: [] },
      ...{ serverId, destinationId, copyTo, notification: null },
      // Null: what the destination has at that time.
      ...{ retentionDays: body.retention_days ?? null, retention: null },
      encrypt: body.encrypt ?? deps.config.BACKUP_ENCRYPTION,
      ...{ verify: true, compress: true, compressionLevel: 6, deduplicate: false },
      nextAt: enabled ? readTiming(timing).next(now) : null,
      activeSince: now,
    };
  }

  async function assertNameFree(projectId: number, name: string): Promise<void> {
    const taken = (await db.schedules.list(projectId)).find((one) => one.name === name);
    if (!taken) return;
    throw new AppError(
      'CONFLICT',
      `There is a scheduled job named ${name} already. Choose another name, or delete that one first: DELETE ${ROOT}/${taken.id}.`,
    );
  }

  /** From its next time on: what came while it was paused is over. */
  async function enable(id: string, enabled: boolean): Promise<ScheduleRecord> {
    const now = await clock();
    return db.transaction(async (tx) => {
      const schedule = await tx.schedules.lock(id);
      if (!schedule) throw notFound('scheduled job');
      if (schedule.enabled === enabled) return schedule;
      if (!enabled) await tx.scheduleAlerts.resolve(id, now, now);
      const nextAt = enabled ? readTiming(schedule).next(now) : null;
      return tx.schedules.enable(id, { enabled, nextAt, activeSince: now });
    });
  }

  async function view(schedules: ScheduleRecord[]) {
    const histories = await db.scheduleRuns.history(schedules.map(({ id }) => id));
    return schedules.map((schedule) => {
      const shown = scheduleView(schedule, histories.get(schedule.id), []);
      return {
        ...{ job_id: shown.id, name: shown.name, schedule_value: shown.cron ?? shown.interval },
        schedule_type: shown.cron
          ? ('cron' as const)
          : shown.interval
            ? ('interval' as const)
            : ('manual' as const),
        time_zone: shown.time_zone,
        status: shown.enabled ? ('active' as const) : ('paused' as const),
        ...{ next_run: shown.next_run, last_run: shown.last_run, last_status: shown.last_status },
        ...{ last_execution_id: shown.last_backup_id, last_error: shown.last_error },
        ...{ total_runs: shown.total_runs, successful_runs: shown.successful_runs },
        ...{ failed_runs: shown.failed_runs, running: shown.running },
        copy_to: shown.copy_to,
        ...{ destination_id: shown.destination_id, components: shown.components, server_id: shown.server_id },
        ...{ encrypt: shown.encrypt, retention_days: shown.retention_days, project_id: shown.project_id },
        created_at: shown.created_at,
      };
    });
  }

  async function answerOne(schedule: ScheduleRecord, message: string) {
    const [data] = await view([schedule]);
    if (!data) throw new TypeError('one schedule has one view');
    return { success: true as const, data, message };
  }
}
