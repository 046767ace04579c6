import type { Api } from '../../api-type.ts';
import type { TacacsDeps } from './deps.ts';
import { tacacsDestinationRoutes } from './destinations.ts';
import { tacacsExecutionRoutes } from './executions.ts';
import { tacacsRestoreRoute } from './restore.ts';
import { tacacsScheduleRoutes } from './schedules.ts';

/** Document 5: its paths and shapes over the same planner and records. */
export function tacacsRoutes(app: Api, deps: TacacsDeps): void {
  tacacsDestinationRoutes(app, deps);
  tacacsExecutionRoutes(app, deps);
  tacacsRestoreRoute(app, deps);
  tacacsScheduleRoutes(app, deps);
}
