import type { Api } from '../../api-type.ts';
import { actorOf } from '../../plugins/actor.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import type { RunDeps } from './deps.ts';
import { findBackup } from './find.ts';
import { lookAtRestore } from './look-at-restore.ts';
import { missingFrom } from './missing-from.ts';
import { normaliseRestore } from './normalise.ts';
import { PreviewAnswer, PreviewQuery } from './preview-schemas.ts';
import { LOOK_ERRORS } from './restore-errors.ts';
import { findRestoreTarget } from './restore-target.ts';
import { IdParams } from './schemas.ts';

/** For as long the answer is held without a preference, in seconds. */
const WAIT_SECONDS = 30;

/** Document 1's preview: what a restore would do, without doing it. */
export function previewRestoreRoute(app: Api, deps: RunDeps): void {
  app.get(
    '/api/backups/:id/restore-preview',
    {
      config: {
        rateLimit: 'verify',
        needs: 'operator',
        errors: [...LOOK_ERRORS],
      },
      schema: {
        tags: ['Restores'],
        summary: 'Look what a restore would do',
        description: `A worker looks at the server and changes nothing there. The answer waits for it, at most ${WAIT_SECONDS} seconds (\`Prefer: wait=N\` says otherwise, up to 60); what only the server knows is null when that is too short.`,
        params: IdParams,
        querystring: PreviewQuery,
        response: { 200: PreviewAnswer },
      },
    },
    async (request, reply) => {
      const { paths, selectedServices, dropExisting, ...query } = request.query;
      const body = {
        ...query,
        ...(dropExisting === undefined ? {} : { database: { dropExisting } }),
        ...(paths === undefined ? {} : { paths: [paths].flat() }),
        ...(selectedServices === undefined ? {} : { selectedServices: namesIn(selectedServices) }),
      };
      const backup = await findBackup(deps, request, request.params.id, 'operator');
      const { warnings, rollback: _rollback, ...wanted } = normaliseRestore(body, 'query');
      const target = await findRestoreTarget(deps, request, backup, body);
      const { userId, role } = actorOf(request);
      const asked = preferredWait(request, reply);
      const { data } = await lookAtRestore(
        deps,
        request,
        { ...wanted, backup, target, userId, requestId: request.id, mayUseLocal: role === 'admin' },
        {
          waitSeconds: reply.hasHeader('preference-applied') ? asked : WAIT_SECONDS,
          orNever: true,
          warnings: [...missingFrom(backup, wanted.services), ...warnings],
        },
      );
      return { success: true as const, message: 'Restore preview generated successfully', data };
    },
  );
}

function namesIn(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}
