import type { Registry } from 'prom-client';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { strict } from '../shapes.ts';
import { checkParts } from './check-parts.ts';

const Part = Type.Enum(['up', 'down']);
const Ready = strict({
  success: Type.Boolean(),
  status: Type.Enum(['ready', 'not_ready']),
  parts: strict({ database: Part, queue: Part }),
});

/** For load balancers and monitors; open, and without a word about what is inside. */
export function healthRoutes(app: Api, deps: AppDeps & { metrics: Registry }): void {
  deps.addMetrics?.(deps.metrics);

  app.get(
    '/healthz',
    {
      config: { public: true },
      schema: {
        tags: ['Operation'],
        summary: 'Whether the process lives',
        response: { 200: strict({ success: Type.Literal(true), status: Type.Literal('ok') }) },
      },
    },
    async () => ({ success: true as const, status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: { public: true },
      schema: {
        tags: ['Operation'],
        summary: 'Whether requests can be served, and which part is down',
        response: { 200: Ready, 503: Ready },
      },
    },
    async (request, reply) => {
      const parts = await checkParts(deps, request.log);
      const ready = Object.values(parts).every((part) => part === 'up');
      return reply
        .code(ready ? 200 : 503)
        .send({ success: ready, status: ready ? 'ready' : 'not_ready', parts });
    },
  );

  app.get(
    '/metrics',
    {
      config: { public: true },
      schema: {
        tags: ['Operation'],
        summary: 'Figures for Prometheus',
        response: { 200: { content: { 'text/plain': { schema: Type.String() } } } },
      },
    },
    async (_request, reply) => {
      const text = await deps.metrics.metrics();
      return reply.type(deps.metrics.contentType).serializer(String).send(text);
    },
  );
}
