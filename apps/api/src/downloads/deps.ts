import type { Database } from '@tarfleet/db';
import type { ApiConfig } from '../env.ts';
import type { Downloads } from './downloads.ts';
import type { OpenDestination } from './open-destination.ts';

/** What downloads stand on. */
export interface DownloadDeps {
  db: Database;
  config: Pick<ApiConfig, 'DOWNLOAD_IDLE_MS' | 'DOWNLOAD_LINK_SECONDS'>;
  downloads: Downloads;
  openDestination: OpenDestination;
}
