import { AppError } from '@tarfleet/kernel';
import { createPasswords } from '@tarfleet/vault';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { actorOf } from '../../plugins/actor.ts';
import type { CountUse } from '../../plugins/rate-limits.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { Deleted, IdParams, PageQuery, strict } from '../shapes.ts';
import { changeUser } from './change-user.ts';
import { NewUserBody, UserAnswer, UserChangesBody, UserPage } from './schemas.ts';
import { userView } from './view.ts';

const tags = ['Users'];

export function userRoutes(app: Api, { db, countUse }: AppDeps & { countUse: CountUse }): void {
  const passwords = createPasswords();

  app.get(
    '/api/users',
    {
      config: { role: 'admin' },
      schema: { tags, summary: 'List users', querystring: strict(PageQuery), response: { 200: UserPage } },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      return pageOf(await db.users.list({ page, perPage }), userView);
    },
  );

  app.post(
    '/api/users',
    {
      config: {
        audit: { action: 'user.create', target: 'user', shows: ['email', 'role'] },
        role: 'admin',
        idempotent: true,
        errors: ['CONFLICT'],
      },
      schema: { tags, summary: 'Make a user', body: NewUserBody, response: { 201: UserAnswer } },
    },
    async (request, reply) => {
      const { email, password, role } = request.body;
      const user = await db.users.create({ email, role, passwordHash: await passwords.hash(password) });
      return reply
        .code(201)
        .header('location', `/api/users/${user.id}`)
        .send(ok(userView(user)));
    },
  );

  app.get(
    '/api/users/:id',
    {
      config: { role: 'admin' },
      schema: { tags, summary: 'One user', params: IdParams, response: { 200: UserAnswer } },
    },
    async (request) => {
      const user = await db.users.get(request.params.id);
      if (!user) throw new AppError('NOT_FOUND', 'There is no such user.');
      return ok(userView(user));
    },
  );

  app.patch(
    '/api/users/:id',
    {
      config: {
        audit: { action: 'user.update', target: 'user', param: 'id', shows: ['email', 'role', 'disabled'] },
        needs: 'admin; oneself for the password',
        errors: ['INVALID_CREDENTIALS', 'CONFLICT', 'RATE_LIMITED'],
      },
      schema: {
        tags,
        summary: 'Change a user, or your own password',
        params: IdParams,
        body: UserChangesBody,
        response: { 200: UserAnswer },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      // Whoever holds a session must not try passwords faster than whoever signs in.
      if (request.body.current_password !== undefined) await countUse(reply, 'login', actor.userId);
      return ok(userView(await changeUser({ db, passwords }, actor, request.params.id, request.body)));
    },
  );

  app.delete(
    '/api/users/:id',
    {
      config: {
        audit: { action: 'user.delete', target: 'user', param: 'id' },
        role: 'admin',
        errors: ['CONFLICT'],
      },
      schema: { tags, summary: 'Delete a user', params: IdParams, response: { 200: Deleted } },
    },
    async (request) => {
      const gone = await db.users.delete(request.params.id);
      if (!gone) throw new AppError('NOT_FOUND', 'There is no such user.');
      return deleted('user');
    },
  );
}
