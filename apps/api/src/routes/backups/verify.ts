import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from '../../api-type.ts';
import { planVerify } from '../../planner/verify.ts';
import { submitFor } from '../../plugins/accepted-job.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { assertNotFailed, type RunDeps, waitAsPreferred } from './deps.ts';
import { findBackup } from './find.ts';
import { seconds } from './formats.ts';
import { IdParams } from './schemas.ts';
import { VerificationAnswer, VerificationParams, VerifyAnswer, VerifyBody } from './verify-schemas.ts';
import { locationOf } from './view.ts';
import { viewVerification } from './view-verification.ts';

const ERRORS = [
  'BACKUP_NOT_FOUND',
  'BACKUP_INCOMPLETE',
  'COMPONENT_NOT_FOUND',
  'NOT_FOUND',
  'CONFLICT',
  'ENCRYPTION_KEY_NOT_FOUND',
  'POOL_NOT_FOUND',
] as const;

const DESCRIPTION =
  'Without a body, or with all of it false: the stored objects against their checksums, which needs no key.';

/** Verification of a backup: documents 1 and 2's routes, which take the same body. */
export function verifyBackupRoutes(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/:id/verify',
    {
      config: {
        audit: {
          action: 'backup.verify',
          target: 'backup',
          param: 'id',
          shows: ['deep_verification', 'test_restore', 'destination_id'],
        },
        rateLimit: 'verify',
        idempotent: true,
        needs: 'operator',
        errors: [...ERRORS],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Check a backup, as closely as the body asks',
        description: DESCRIPTION,
        params: IdParams,
        body: VerifyBody,
        response: { 200: VerifyAnswer, 202: VerifyAnswer },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.id, 'operator');
      const { jobId, result } = await verify(deps, request, reply, backup, request.body);
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
          verifyJobId: jobId,
          issues: result?.issues ?? [],
        },
      };
    },
  );

  app.post(
    '/api/backups/verify/:backup_id',
    {
      config: {
        audit: {
          action: 'backup.verify',
          target: 'backup',
          param: 'backup_id',
          shows: ['deep_verification', 'test_restore', 'destination_id'],
        },
        role: 'admin',
        rateLimit: 'verify',
        idempotent: true,
        errors: [...ERRORS],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Check a backup, as closely as the body asks, and tell what was checked',
        description: DESCRIPTION,
        params: VerificationParams,
        body: VerifyBody,
        response: { 200: VerificationAnswer, 202: VerificationAnswer },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.backup_id, 'admin');
      const { jobId, job, result } = await verify(deps, request, reply, backup, request.body);
      const unknown = {
        ...{ verification_status: 'in_progress' as const, verified_at: null, checks_performed: null },
        ...{ components_verified: {}, issues: [], recommendations: [] },
      };
      return {
        success: true as const,
        data: {
          backup_id: backup.id,
          job_id: jobId,
          verification_level: levelOf(request.body),
          verification_duration_seconds: seconds(job?.startedAt ?? null, job?.endedAt ?? null),
          ...(result ? viewVerification(result) : unknown),
        },
        message: !result
          ? 'Backup verification started'
          : result.valid
            ? 'Backup verification completed successfully'
            : 'Backup verification failed',
      };
    },
  );
}

async function verify(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  backup: Awaited<ReturnType<typeof findBackup>>,
  body: VerifyBody,
) {
  const draft = await planVerify(deps, {
    backup,
    userId: actorOf(request).userId,
    requestId: request.id,
    level: levelOf(body),
    components: body?.components ?? null,
    destinationId: body?.destination_id ?? null,
  });
  await submitFor(request, deps.dispatcher, draft);
  const jobId = draft.root.id;
  const job = await waitAsPreferred(deps, request, jobId, preferredWait(request, reply));
  assertNotFailed(job);
  const result = job?.result?.kind === 'verify' ? job.result : null;
  reply.code(result ? 200 : 202).header('location', `/api/jobs/${jobId}`);
  return { jobId, job, result };
}

function levelOf(body: VerifyBody): VerificationAnswer['data']['verification_level'] {
  if (body?.test_restore) return 'test_restore';
  return body?.deep_verification ? 'deep' : 'quick';
}
