import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { createAccess, notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { checkPolicy } from '../../retention/check-policy.ts';
import { ok } from '../answers.ts';
import { ProjectParams } from '../shapes.ts';
import { previewRetention } from './preview.ts';
import { PolicyAnswer, PolicyBody, PreviewAnswer, PreviewQuery } from './schemas.ts';

const tags = ['Retention'];
const POLICY = '/api/projects/:id/retention';
const SHOWN = [
  ...['days', 'keep_last', 'keep_hourly', 'keep_daily', 'keep_weekly', 'keep_monthly', 'keep_yearly'],
  ...['timezone', 'keep_newest'],
];

/** A project's retention policy, and what it would do. A destination's is part of the destination. */
export function retentionRoutes(app: Api, { db }: Pick<AppDeps, 'db'>): void {
  const access = createAccess(db);

  app.get(
    POLICY,
    {
      config: { needs: 'viewer' },
      schema: {
        tags,
        summary: 'The retention policy of a project',
        params: ProjectParams,
        response: { 200: PolicyAnswer },
      },
    },
    async (request) => {
      const { id } = request.params;
      await access.require(actorOf(request), id, 'viewer', notFound('project'));
      const project = await db.projects.get(id);
      if (!project) throw notFound('project');
      return ok({ project_id: id, retention: project.retention });
    },
  );

  app.put(
    POLICY,
    {
      config: {
        audit: { action: 'project.set_retention', target: 'project', param: 'id', shows: SHOWN },
        role: 'admin',
      },
      schema: {
        tags,
        summary: 'Set the retention policy of a project',
        description:
          'What no rule keeps is deleted by the next run: look at the preview first. A run comes every RETENTION_EVERY_MS.',
        params: ProjectParams,
        body: PolicyBody,
        response: { 200: PolicyAnswer },
      },
    },
    async (request) => {
      const { id } = request.params;
      checkPolicy(request.body, 'body');
      if (!(await db.retention.setProjectPolicy(id, request.body))) throw notFound('project');
      return ok({ project_id: id, retention: request.body });
    },
  );

  app.delete(
    POLICY,
    {
      config: {
        audit: { action: 'project.remove_retention', target: 'project', param: 'id' },
        role: 'admin',
      },
      schema: {
        tags,
        summary: 'Remove the retention policy of a project; its backups then go by their own days alone',
        params: ProjectParams,
        response: { 200: PolicyAnswer },
      },
    },
    async (request) => {
      const { id } = request.params;
      if (!(await db.retention.setProjectPolicy(id, null))) throw notFound('project');
      return ok({ project_id: id, retention: null });
    },
  );

  app.get(
    `${POLICY}/preview`,
    {
      config: { needs: 'viewer' },
      schema: {
        tags,
        summary: 'What retention would delete now, and why it keeps the rest',
        params: ProjectParams,
        querystring: PreviewQuery,
        response: { 200: PreviewAnswer },
      },
    },
    async (request) => {
      const { id } = request.params;
      await access.require(actorOf(request), id, 'viewer', notFound('project'));
      if (!(await db.projects.get(id))) throw notFound('project');
      return ok(await previewRetention(db, id, request.query));
    },
  );
}
