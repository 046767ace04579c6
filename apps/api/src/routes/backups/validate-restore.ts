import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RestoreSubject } from '../../planner/resolve-restore.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import type { RunDeps } from './deps.ts';
import { lookAtRestore } from './look-at-restore.ts';
import { missingFrom } from './missing-from.ts';
import type { RestoreAnswer } from './restore-schemas.ts';

/** Whether a restore's body asks for a look alone. */
export function wantsLookAlone(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'validateOnly' in body && body.validateOnly === true;
}

/** Document 4's validateOnly, in the shape of a restore's answer: at once, or with what was found when it was waited for. */
export async function validateRestore(
  deps: RunDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  subject: RestoreSubject,
  warnings: readonly string[],
): Promise<RestoreAnswer> {
  const { backup, target } = subject;
  const { jobId, result, data } = await lookAtRestore(deps, request, subject, {
    ...{ waitSeconds: preferredWait(request, reply), orNever: false },
    warnings: [...missingFrom(backup, subject.services), ...warnings],
  });
  const [problem] = result?.problems ?? [];
  reply.code(result ? 200 : 202).header('location', `/api/jobs/${jobId}`);
  return {
    success: true,
    message: validationMessage(result !== null, problem?.failure.message),
    data: {
      restoreJobId: jobId,
      status: !result ? 'pending' : problem ? 'invalid' : 'validated',
      ...{ servicesRestored: [], servicesFailed: [], filesRestored: null, filesSkipped: null },
      ...{ duration: null, rolledBack: false },
      warnings: result ? data.warnings : [...missingFrom(backup, subject.services), ...warnings],
      ...(result ? { preview: data } : {}),
    },
    target_project_id: target?.projectId ?? backup.projectId,
  };
}

/** What is said of a look at a restore: of one that still runs, that found nothing, or that found this problem. */
export function validationMessage(looked: boolean, problem: string | undefined): string {
  if (!looked) return 'Restore validation initiated successfully';
  return problem === undefined
    ? 'Restore validated successfully, nothing was changed'
    : `A restore would fail: ${problem}`;
}
