import type { Api } from '../../api-type.ts';
import { componentRestoreRoute } from './component-restore.ts';
import { componentRestoreStatusRoute } from './component-restore-status.ts';
import { copyRoutes } from './copies.ts';
import { createBackupRoute } from './create.ts';
import { deleteBackupRoute } from './delete.ts';
import type { RunDeps } from './deps.ts';
import { lockRoutes } from './lock.ts';
import { previewRestoreRoute } from './preview.ts';
import { readBackupRoutes } from './read.ts';
import { restoreBackupRoute } from './restore.ts';
import { rewrapRoutes } from './rewrap.ts';
import { statisticsRoute } from './statistics.ts';
import { verifyBackupRoutes } from './verify.ts';

export function backupRoutes(app: Api, deps: RunDeps): void {
  createBackupRoute(app, deps);
  readBackupRoutes(app, deps);
  statisticsRoute(app, deps);
  verifyBackupRoutes(app, deps);
  restoreBackupRoute(app, deps);
  componentRestoreRoute(app, deps);
  componentRestoreStatusRoute(app, deps);
  previewRestoreRoute(app, deps);
  deleteBackupRoute(app, deps);
  lockRoutes(app, deps);
  rewrapRoutes(app, deps);
  copyRoutes(app, deps);
}
