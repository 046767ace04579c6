import type { Api } from '../../api-type.ts';
import type { DownloadDeps } from '../../downloads/deps.ts';
import type { RunDeps } from '../../routes/backups/deps.ts';
import { downloadRoute } from '../../routes/backups/download.ts';
import { posBackupRoutes } from './backups.ts';
import { posRestoreRoutes } from './restores.ts';

/** Document 4: its paths and shapes over the same planner and records. */
export function posRoutes(app: Api, deps: RunDeps, downloads: DownloadDeps): void {
  posBackupRoutes(app, deps);
  downloadRoute(app, '/api/backup/:id/download', { ...downloads, access: deps.access });
  posRestoreRoutes(app, deps);
}
