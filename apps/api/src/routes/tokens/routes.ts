import { AppError } from '@tarfleet/kernel';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { forbidden } from '../../plugins/access.ts';
import { actorOf, reaches } from '../../plugins/actor.ts';
import { createApiToken } from '../../plugins/api-tokens.ts';
import { deleted, ok, pageOf } from '../answers.ts';
import { Deleted, IdParams, PageQuery, strict } from '../shapes.ts';
import { NewTokenAnswer, NewTokenBody, TokenAnswer, TokenPage } from './schemas.ts';
import { tokenView } from './view.ts';

const tags = ['API tokens'];

/** A user's own tokens. */
export function tokenRoutes(app: Api, { db }: AppDeps): void {
  app.get(
    '/api/auth/tokens',
    {
      schema: {
        tags,
        summary: 'List your tokens',
        querystring: strict(PageQuery),
        response: { 200: TokenPage },
      },
    },
    async (request) => {
      const { page, per_page: perPage } = request.query;
      return pageOf(await db.apiTokens.list(actorOf(request).userId, { page, perPage }), tokenView);
    },
  );

  app.post(
    '/api/auth/tokens',
    {
      config: {
        audit: { action: 'token.create', target: 'token', shows: ['name', 'role', 'expires_in_days'] },
        idempotent: 'secret',
        errors: ['INSUFFICIENT_PERMISSIONS', 'CONFLICT'],
      },
      schema: { tags, summary: 'Make a token', body: NewTokenBody, response: { 201: NewTokenAnswer } },
    },
    async (request, reply) => {
      const { userId, role, tokenId } = actorOf(request);
      const { name, role: cap, expires_in_days: days } = request.body;
      // A token that makes tokens would outlive its own expiry and its deletion.
      if (tokenId !== undefined) {
        throw new AppError('INSUFFICIENT_PERMISSIONS', 'A token cannot make tokens; sign in for that.');
      }
      if (cap && !reaches(role, cap)) throw forbidden(cap);
      const { token, hash, prefix } = createApiToken();
      const made = await db.apiTokens.create({
        userId,
        name,
        tokenHash: hash,
        prefix,
        role: cap ?? null,
        expiresAt: days === undefined ? null : new Date(Date.now() + days * 86_400_000),
      });
      return reply
        .code(201)
        .header('location', `/api/auth/tokens/${made.id}`)
        .send(ok({ ...tokenView(made), token }));
    },
  );

  app.get(
    '/api/auth/tokens/:id',
    { schema: { tags, summary: 'One of your tokens', params: IdParams, response: { 200: TokenAnswer } } },
    async (request) => {
      const token = await db.apiTokens.get(actorOf(request).userId, request.params.id);
      if (!token) throw missing();
      return ok(tokenView(token));
    },
  );

  app.delete(
    '/api/auth/tokens/:id',
    {
      config: { audit: { action: 'token.delete', target: 'token', param: 'id' } },
      schema: { tags, summary: 'Delete a token', params: IdParams, response: { 200: Deleted } },
    },
    async (request) => {
      const gone = await db.apiTokens.revoke(actorOf(request).userId, request.params.id);
      if (!gone) throw missing();
      return deleted('token');
    },
  );
}

function missing(): AppError {
  return new AppError('NOT_FOUND', 'You have no such token, or it is revoked already.');
}
