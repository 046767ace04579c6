import { Histogram, Registry } from 'prom-client';
import type { Api } from '../api-type.ts';

/** How long requests take, by route; a registry of its own for each app. */
export function addMetrics(app: Api): Registry {
  const registry = new Registry();
  const durations = new Histogram({
    name: 'tarfleet_http_request_duration_seconds',
    help: 'Time from a request’s first byte to its answer’s last one',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    durations.observe(
      {
        method: request.method,
        // The pattern, never the path: ids would make endless series.
        route: request.routeOptions.url ?? 'none',
        status: String(reply.statusCode),
      },
      reply.elapsedTime / 1000,
    );
  });
  return registry;
}
