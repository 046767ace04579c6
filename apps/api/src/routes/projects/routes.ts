import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { createAccess, notFound } from '../../plugins/access.ts';
import { actorOf } from '../../plugins/actor.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { Deleted, PageQuery, ProjectParams, strict } from '../shapes.ts';
import { NewProjectBody, ProjectAnswer, ProjectChangesBody, ProjectPage } from './schemas.ts';
import { projectView } from './view.ts';

const tags = ['Projects'];

/** Members see their projects; admins make, change and delete them. */
export function projectRoutes(app: Api, { db }: AppDeps): void {
  const access = createAccess(db);

  app.get(
    '/api/projects',
    {
      schema: {
        tags,
        summary: 'List the projects you can see',
        querystring: strict(PageQuery),
        response: { 200: ProjectPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      const scope = await access.scope(actorOf(request));
      return pageOf(await db.projects.list({ page, perPage, scope }), projectView);
    },
  );

  app.post(
    '/api/projects',
    {
      config: {
        audit: { action: 'project.create', target: 'project', shows: ['name'] },
        role: 'admin',
        idempotent: true,
        errors: ['CONFLICT'],
      },
      schema: { tags, summary: 'Make a project', body: NewProjectBody, response: { 201: ProjectAnswer } },
    },
    async (request, reply) => {
      const project = await db.projects.create(request.body);
      return reply
        .code(201)
        .header('location', `/api/projects/${project.id}`)
        .send(ok(projectView(project)));
    },
  );

  app.get(
    '/api/projects/:id',
    {
      config: { needs: 'viewer' },
      schema: { tags, summary: 'One project', params: ProjectParams, response: { 200: ProjectAnswer } },
    },
    async (request) => {
      const { id } = request.params;
      await access.require(actorOf(request), id, 'viewer', notFound('project'));
      const project = await db.projects.get(id);
      if (!project) throw notFound('project');
      return ok(projectView(project));
    },
  );

  app.patch(
    '/api/projects/:id',
    {
      config: {
        audit: { action: 'project.update', target: 'project', param: 'id', shows: ['name'] },
        role: 'admin',
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Rename a project',
        params: ProjectParams,
        body: ProjectChangesBody,
        response: { 200: ProjectAnswer },
      },
    },
    async (request) => {
      const { name } = request.body;
      const project = await db.projects.update(request.params.id, name === undefined ? {} : { name });
      if (!project) throw notFound('project');
      return ok(projectView(project));
    },
  );

  app.delete(
    '/api/projects/:id',
    {
      config: {
        audit: { action: 'project.delete', target: 'project', param: 'id' },
        role: 'admin',
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Delete a project that has no servers and no backups',
        params: ProjectParams,
        response: { 200: Deleted },
      },
    },
    async (request) => {
      if (!(await db.projects.delete(request.params.id))) throw notFound('project');
      return deleted('project');
    },
  );
}
