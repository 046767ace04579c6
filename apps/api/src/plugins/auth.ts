import type { Api } from '../api-type.ts';
import type { ApiConfig } from '../env.ts';
import { forbidden } from './access.ts';
import { type Actor, reaches } from './actor.ts';
import type { Credentials } from './authenticator.ts';
import { assertSameOrigin } from './origin.ts';
import { SESSION_COOKIE } from './session-cookie.ts';

export interface AuthOptions {
  config: Pick<ApiConfig, 'PUBLIC_URL'>;
  authenticate: (given: Credentials) => Promise<Actor>;
}

/** Every route is closed unless its config says `public`. Runs before the body is read. */
export function addAuth(app: Api, { config, authenticate }: AuthOptions): void {
  app.decorateRequest('actor', null);
  app.addHook('onRequest', async (request) => {
    const route = request.routeOptions.config;
    if (route.public || request.is404) return;
    const { authorization, 'x-api-token': apiToken } = request.headers;
    const actor = await authenticate({
      authorization,
      apiToken: Array.isArray(apiToken) ? apiToken[0] : apiToken,
      cookie: request.cookies[SESSION_COOKIE],
    });
    if (actor.via === 'cookie') assertSameOrigin(request, config.PUBLIC_URL);
    request.actor = actor;
    request.log = request.log.child({ userId: actor.userId });
    if (route.role && !reaches(actor.role, route.role)) throw forbidden(route.role);
  });
}
