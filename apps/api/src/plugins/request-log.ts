import type { Api } from '../api-type.ts';

/** One line for each request. The query stays out of it: links may carry secrets there. */
export function addRequestLog(app: Api): void {
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? null,
        path: request.url.split('?')[0],
        status: reply.statusCode,
        milliseconds: Math.round(reply.elapsedTime),
        ...(request.actor ? { via: request.actor.via } : {}),
      },
      'request',
    );
  });
}
