import { JOB_KINDS, Timestamp, Uuid } from '@tarfleet/contracts';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { actorOf } from '../../plugins/actor.ts';
import { pageOf } from '../answers.ts';
import { PageQuery, page, strict } from '../shapes.ts';
import { workerView } from './view.ts';

const WorkerView = strict({
  id: Type.String(),
  host: Type.String(),
  pid: Type.Integer(),
  pool: Type.String(),
  version: Type.String(),
  state: Type.Enum(['alive', 'stopping', 'lost'], { description: 'Lost: no heartbeat for 30 seconds' }),
  started_at: Timestamp,
  last_seen_at: Timestamp,
  jobs_running: Type.Integer(),
  jobs: Type.Array(strict({ id: Uuid, kind: Type.Enum([...JOB_KINDS]), since: Timestamp }), {
    description: 'For administrators; others see only how many there are',
  }),
});

/** Workers that were silent for longer are not listed any more. */
const LISTED_MS = 24 * 3_600_000;

export function workerRoutes(app: Api, { db }: AppDeps): void {
  app.get(
    '/api/workers',
    {
      schema: {
        tags: ['Workers'],
        summary: 'Who is alive, in which pool, doing what',
        querystring: strict(PageQuery),
        response: { 200: page(WorkerView) },
      },
    },
    async (request) => {
      const { page: at, per_page: perPage } = request.query;
      const now = Date.now();
      const all = await db.workers.list({ since: new Date(now - LISTED_MS) });
      all.sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime());
      const items = all.slice((at - 1) * perPage, at * perPage);
      const { seesAll } = actorOf(request);
      return pageOf({ items, total: all.length, page: at, perPage }, (one) => workerView(one, now, seesAll));
    },
  );
}
