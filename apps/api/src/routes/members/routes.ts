import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { notFound } from '../../plugins/access.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { Deleted, PageQuery, ProjectParams, strict } from '../shapes.ts';
import { allowedRole } from './allowed-role.ts';
import { MemberAnswer, MemberChangesBody, MemberPage, MemberParams, NewMemberBody } from './schemas.ts';
import { memberView } from './view.ts';

const tags = ['Projects'];
const config = { role: 'admin' } as const;
const WITHIN = { target: 'project', param: 'id' } as const;

/** Who belongs to a project: for admins. */
export function memberRoutes(app: Api, { db }: AppDeps): void {
  const assertProject = async (id: number): Promise<void> => {
    if (!(await db.projects.get(id))) throw notFound('project');
  };

  app.get(
    '/api/projects/:id/members',
    {
      config,
      schema: {
        tags,
        summary: 'List a project’s members',
        params: ProjectParams,
        querystring: strict(PageQuery),
        response: { 200: MemberPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      await assertProject(request.params.id);
      const all = await db.projectMembers.list(request.params.id);
      const items = all.slice((page - 1) * perPage, page * perPage);
      return pageOf({ items, total: all.length, page, perPage }, memberView);
    },
  );

  app.post(
    '/api/projects/:id/members',
    {
      config: {
        ...config,
        audit: { action: 'member.add', target: 'member', within: WITHIN, shows: ['user_id', 'role'] },
        idempotent: true,
        errors: ['CONFLICT'],
      },
      schema: {
        tags,
        summary: 'Add a member',
        params: ProjectParams,
        body: NewMemberBody,
        response: { 201: MemberAnswer },
      },
    },
    async (request, reply) => {
      const { id: projectId } = request.params;
      const { user_id: userId, role } = request.body;
      await assertProject(projectId);
      const member = await db.projectMembers.add({
        projectId,
        userId,
        role: await allowedRole(db, userId, role),
      });
      return reply
        .code(201)
        .header('location', `/api/projects/${projectId}/members/${userId}`)
        .send(ok(memberView(member)));
    },
  );

  app.get(
    '/api/projects/:id/members/:userId',
    {
      config,
      schema: { tags, summary: 'One member', params: MemberParams, response: { 200: MemberAnswer } },
    },
    async (request) => {
      const member = await db.projectMembers.get(request.params.id, request.params.userId);
      if (!member) throw notFound('member');
      return ok(memberView(member));
    },
  );

  app.patch(
    '/api/projects/:id/members/:userId',
    {
      config: {
        ...config,
        audit: {
          action: 'member.update',
          target: 'member',
          param: 'userId',
          within: WITHIN,
          shows: ['role'],
        },
      },
      schema: {
        tags,
        summary: 'Change a member’s role',
        params: MemberParams,
        body: MemberChangesBody,
        response: { 200: MemberAnswer },
      },
    },
    async (request) => {
      const { id, userId } = request.params;
      const { role } = request.body;
      if (!(await db.projectMembers.get(id, userId))) throw notFound('member');
      const changes = role === undefined ? {} : { role: await allowedRole(db, userId, role) };
      const member = await db.projectMembers.update(id, userId, changes);
      if (!member) throw notFound('member');
      return ok(memberView(member));
    },
  );

  app.delete(
    '/api/projects/:id/members/:userId',
    {
      config: {
        ...config,
        audit: { action: 'member.remove', target: 'member', param: 'userId', within: WITHIN },
      },
      schema: { tags, summary: 'Remove a member', params: MemberParams, response: { 200: Deleted } },
    },
    async (request) => {
      if (!(await db.projectMembers.remove(request.params.id, request.params.userId)))
        throw notFound('member');
      return deleted('membership');
    },
  );
}
