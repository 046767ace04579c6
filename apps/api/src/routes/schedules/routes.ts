import type { ScheduleRecord } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { notFound } from '../../plugins/access.ts';
import { deleteSchedule } from '../../scheduler/delete-schedule.ts';
import { deleted, ok } from '../answers.ts';
import { Deleted, IdParams } from '../shapes.ts';
import { type ConfigureDeps, configureSchedules } from './configure.ts';
import { ConfigureAnswer, ConfigureBody, ListQuery, ScheduleAnswer, SchedulesAnswer } from './schemas.ts';
import { runView, scheduleView } from './view.ts';

const tags = ['Schedules'];
const config = { role: 'admin' } as const;
/** How much of its history one schedule shows. */
const RUNS = 100;

/** Document 2's schedules: for admins, as the backups that they make. */
export function scheduleRoutes(app: Api, deps: ConfigureDeps): void {
  const { db } = deps;
  const view = async (schedules: ScheduleRecord[]) => {
    const ids = schedules.map(({ id }) => id);
    const [histories, alerts] = await Promise.all([
      db.scheduleRuns.history(ids),
      db.scheduleAlerts.open(ids),
    ]);
    return schedules.map((schedule) => scheduleView(schedule, histories.get(schedule.id), alerts));
  };

  app.post(
    '/api/backups/schedule/configure',
    {
      config: {
        ...config,
        audit: { action: 'schedule.configure', target: 'schedule', shows: ['project_id'] },
        idempotent: true,
        errors: ['INVALID_BACKUP_TYPE', 'NOT_SUPPORTED', 'COMPONENT_NOT_FOUND', 'NOT_FOUND', 'CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Make or replace schedules',
        description:
          'By name, within a project: all of those that are named, or none when anything is wrong with one. What is left out of one takes its default. Schedules that are not named stay as they are.',
        body: ConfigureBody,
        response: { 200: ConfigureAnswer },
      },
    },
    async (request) => {
      const { project_id: id, schedules: bodies } = request.body;
      if (request.audit) request.audit.details.names = bodies.map(({ name }) => name);
      const project = id ? await db.projects.get(id) : await db.projects.ensureDefault();
      if (!project) throw notFound('project');
      const stored = await configureSchedules(deps, project.id, bodies);
      const next = firstDue(await db.schedules.list(project.id));
      return {
        success: true as const,
        data: {
          schedules_configured: stored.length,
          next_backup: next && { schedule_name: next.name, scheduled_time: next.at.toISOString() },
          schedules: stored.map(({ id, name, nextAt }) => ({
            ...{ id, name, next_run: nextAt?.toISOString() ?? null },
          })),
        },
        message: 'Backup schedules configured successfully',
      };
    },
  );

  app.get(
    '/api/backups/schedule',
    {
      config,
      schema: {
        tags,
        summary: 'List schedules with their next and last runs',
        querystring: ListQuery,
        response: { 200: SchedulesAnswer },
      },
    },
    async (request) =>
      ok({ schedules: await view(await db.schedules.list(request.query.project_id ?? null)) }),
  );

  app.get(
    '/api/backups/schedule/:id',
    {
      config,
      schema: {
        tags,
        summary: 'One schedule with its last runs',
        params: IdParams,
        response: { 200: ScheduleAnswer },
      },
    },
    async (request) => {
      const schedule = await db.schedules.get(request.params.id);
      const [shown] = schedule ? await view([schedule]) : [];
      if (!shown) throw notFound('schedule');
      return ok({ ...shown, runs: (await db.scheduleRuns.list(shown.id, RUNS)).map(runView) });
    },
  );

  app.delete(
    '/api/backups/schedule/:id',
    {
      config: { ...config, audit: { action: 'schedule.delete', target: 'schedule', param: 'id' } },
      schema: {
        tags,
        summary: 'Delete a schedule and what is known of its runs; its backups stay',
        params: IdParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      if (!(await deleteSchedule(db, request.params.id))) throw notFound('schedule');
      return deleted('schedule');
    },
  );
}

function firstDue(schedules: ScheduleRecord[]): { name: string; at: Date } | null {
  const due = schedules.flatMap(({ name, nextAt }) => (nextAt ? [{ name, at: nextAt }] : []));
  return due.sort((one, other) => one.at.getTime() - other.at.getTime())[0] ?? null;
}
