import type { Database } from '@tarfleet/db';
import type { CancelOptions } from '../../cancel.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { ApiConfig } from '../../env.ts';
import type { LiveHub } from '../../live/hub.ts';
import type { NotificationRules } from '../../notifier/notification.ts';
import type { PlanKeys } from '../../planner/targets.ts';
import type { Access } from '../../plugins/access.ts';

export { assertNotFailed, waitAsPreferred } from '../../live/wait-as-preferred.ts';

/** What the routes of backups and restores stand on. */
export interface RunDeps {
  config: Pick<ApiConfig, 'RESTORE_KEEP_HOURS'>;
  db: Database;
  access: Access;
  dispatcher: Dispatcher;
  keys: PlanKeys;
  hub: LiveHub;
  cancel: CancelOptions;
  notifications: NotificationRules;
}
