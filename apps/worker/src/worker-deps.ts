import type { Codec } from '@tarfleet/archive';
import type {
  ArtifactPlan,
  DestinationTarget,
  ResealPlan,
  ResultOf,
  SealedBox,
  ServerSecrets,
  ServerTarget,
  ServiceRun,
  ServiceTarget,
} from '@tarfleet/contracts';
import type { Logger } from '@tarfleet/kernel';
import type { ServiceContext, ServiceHandle } from '@tarfleet/services';
import type { Source } from '@tarfleet/sources';
import type { Storage } from '@tarfleet/storage';
import type { ConnectRequest, Session } from '@tarfleet/transport';
import type { Keyring } from '@tarfleet/vault';

/** What processors build on. `deps.ts` is the only place that knows which drivers stand behind it. */
export interface WorkerDeps {
  logger: Logger;
  /** Opens a session on a server; the caller closes it. */
  connect(
    server: ServerTarget,
    options: { signal: AbortSignal; pinning?: NonNullable<ConnectRequest['pinning']> },
  ): Promise<Session>;
  /** Opens a destination; the caller closes it. */
  openStorage(destination: DestinationTarget): Promise<Storage>;
  /** The driver for a service's type; passwords of databases are opened for this server alone. */
  sourceOf(type: ServiceTarget['type'], server: ServerTarget): Source;
  /**
   * How a service is stopped, started and checked. Throws LOCAL_NOT_ALLOWED for one of a `local` server unless the
   * worker's environment allows that.
   */
  serviceOf(server: ServerTarget, context: ServiceContext, service: ServiceRun): ServiceHandle;
  /** Refuses paths of a `local` server that lie outside the allowed roots. */
  assertPathsAllowed(server: ServerTarget, paths: string[]): Promise<void>;
  /** Refuses to run what a service says on a `local` server, unless the worker's environment allows that. */
  assertCommandsAllowed(server: ServerTarget, service: string): void;
  openServerSecrets(server: ServerTarget): Promise<ServerSecrets>;
  /** The project's own records, as they travel in this plan. */
  openRecords(plan: ArtifactPlan & { records: SealedBox }): Promise<Buffer>;
  /** Seals anew, for the pool's current key. */
  reseal(plan: ResealPlan): Promise<ResultOf<'reseal'>>;
  /** The keys of encrypted backups. */
  keyring: Keyring;
  /** Opens a session on the worker's own machine, for work in `tmpDir` alone; the caller closes it. */
  ownMachine(signal: AbortSignal): Promise<Session>;
  /** For what a job keeps on the worker's own disk. */
  tmpDir: string;
  /** Who compresses and decompresses. */
  codec: Codec;
  /** Blocks compressed side by side in one job. */
  parallelBlocks: number;
}
