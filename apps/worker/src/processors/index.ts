import type { Processors } from '../run-job.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { createArtifactProcessor } from './artifact.ts';
import { createBackupProcessor } from './backup.ts';
import { createCopyProcessor } from './copy.ts';
import { createDeleteProcessor } from './delete.ts';
import { createDestinationTestProcessor } from './destination-test.ts';
import { createPreviewProcessor } from './preview.ts';
import { createResealProcessor } from './reseal.ts';
import { createRestoreProcessor } from './restore.ts';
import { createRewrapProcessor } from './rewrap.ts';
import { createRollbackProcessor } from './rollback.ts';
import { createServerTestProcessor } from './server-test.ts';
import { createSurveyProcessor } from './survey.ts';
import { createSweepProcessor } from './sweep.ts';
import { createVerifyProcessor } from './verify.ts';

/** One processor for each kind of job. */
export function createProcessors(deps: WorkerDeps): Processors {
  return {
    backup: createBackupProcessor(deps),
    artifact: createArtifactProcessor(deps),
    verify: createVerifyProcessor(deps),
    restore: createRestoreProcessor(deps),
    rollback: createRollbackProcessor(deps),
    preview: createPreviewProcessor(deps),
    delete: createDeleteProcessor(deps),
    sweep: createSweepProcessor(deps),
    'server-test': createServerTestProcessor(deps),
    'destination-test': createDestinationTestProcessor(deps),
    reseal: createResealProcessor(deps),
    rewrap: createRewrapProcessor(deps),
    survey: createSurveyProcessor(deps),
    copy: createCopyProcessor(deps),
  };
}
