import type { Codec } from '@tarfleet/archive';
import type { VerifyPlan } from '@tarfleet/contracts';
import type { Storage } from '@tarfleet/storage';
import type { Keyring } from '@tarfleet/vault';
import type { ArtifactPlace, ManifestArtifact } from '../archives/artifact-reader.ts';
import type { JobContext } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import type { Tally } from './tally.ts';

/** What all the checks of one verification share. */
export interface Verification {
  plan: VerifyPlan;
  storage: Storage;
  keyring: Keyring;
  codec: Codec;
  /** The worker's folder for what it keeps while it works. */
  tmpDir: string;
  ownMachine: WorkerDeps['ownMachine'];
  delivery: Pick<JobContext['delivery'], 'token'>;
  signal: AbortSignal;
  tally: Tally;
}

export function placeOf(
  { plan, storage, keyring, codec }: Verification,
  artifact: ManifestArtifact,
): ArtifactPlace {
  const { keyPrefix, backupId } = plan;
  return { storage, keyring, codec, keyPrefix, backupId, artifact };
}
