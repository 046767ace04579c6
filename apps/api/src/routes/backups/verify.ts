import { AppError } from '@tarfleet/kernel';
import type { Api } from '../../api-type.ts';
import { planVerify } from '../../planner/verify.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { NoBody } from '../shapes.ts';
import { type RunDeps, waitAsPreferred } from './deps.ts';
import { findBackup } from './find.ts';
import { IdParams, VerifyAnswer } from './schemas.ts';
import { locationOf } from './view.ts';

/** Document 1's verification of a backup. */
export function verifyBackupRoute(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/:id/verify',
    {
      config: { rateLimit: 'verify', idempotent: true },
      schema: {
        tags: ['Backups'],
        summary: 'Check a backup’s stored objects against their checksums',
        params: IdParams,
        body: NoBody,
        response: { 200: VerifyAnswer, 202: VerifyAnswer },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.id, 'operator');
      const draft = await planVerify(deps, {
        backup,
        userId: actorOf(request).userId,
        requestId: request.id,
      });
      await submitFor(request, deps.dispatcher, draft);
      const wait = preferredWait(request, reply);
      const job = await waitAsPreferred(deps, request, draft.root.id, wait);
      if (job?.failure && job.endedAt) throw new AppError(job.failure.code, job.failure.message);
      const result = job?.result?.kind === 'verify' ? job.result : null;
      reply.code(result ? 200 : 202).header('location', `/api/jobs/${draft.root.id}`);
      return {
        success: true as const,
        message: !result
          ? 'Backup verification started'
          : result.valid
            ? 'Backup is valid'
            : 'Backup verification failed',
        data: {
          backupId: backup.id,
          isValid: result?.valid ?? null,
          filePath: locationOf(backup),
          fileSize: backup.sizeBytes ?? 0,
          verifyJobId: draft.root.id,
          issues: result?.issues ?? [],
        },
      };
    },
  );
}
