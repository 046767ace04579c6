import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import { assertRestorable, relock } from '../../planner/on-backup.ts';
import { actorOf } from '../../plugins/actor.ts';
import { invalid } from '../../plugins/faults.ts';
import { IdParams, nullable, one, strict, Timestamp, Uuid } from '../shapes.ts';
import type { RunDeps } from './deps.ts';
import { findBackup } from './find.ts';
import { LockView } from './schemas.ts';
import { viewLock } from './view.ts';

const LockBody = strict({
  reason: Type.String({ minLength: 1, maxLength: 1000 }),
  until: Type.Optional(
    nullable(
      Type.String({
        maxLength: 40,
        description: 'Until when, ISO 8601 with a zone; left out, until somebody takes the lock away',
      }),
    ),
  ),
});
const LockAnswer = one(strict({ backup_id: Uuid, locked: nullable(LockView), at: Timestamp }));
const errors = ['BACKUP_NOT_FOUND', 'BACKUP_INCOMPLETE'] as const;

/** A legal hold: a locked backup is deleted by nobody, `force` included. */
export function lockRoutes(app: Api, deps: RunDeps): void {
  app.post(
    '/api/backups/:id/lock',
    {
      config: {
        audit: { action: 'backup.lock', target: 'backup', param: 'id', shows: ['reason', 'until'] },
        role: 'admin',
        errors: [...errors],
      },
      schema: {
        tags: ['Retention'],
        summary: 'Lock a backup: nobody deletes it, by force neither',
        description: 'In place of an earlier lock, where there is one. What it builds on stays with it.',
        params: IdParams,
        body: LockBody,
        response: { 200: LockAnswer },
      },
    },
    async (request) => {
      const { id } = await findBackup(deps, request, request.params.id, 'admin');
      const { reason } = request.body;
      const until = readUntil(request.body.until ?? null);
      const actor = actorOf(request);
      const lock = { lockedAt: new Date(), lockedBy: actor.email, lockReason: reason, lockUntil: until };
      await deps.db.transaction(async (tx) => {
        assertRestorable(await relock(tx, id));
        await tx.backups.change(id, lock);
      });
      return answer(id, viewLock(lock));
    },
  );

  app.delete(
    '/api/backups/:id/lock',
    {
      config: {
        audit: { action: 'backup.unlock', target: 'backup', param: 'id' },
        role: 'admin',
        errors: [...errors],
      },
      schema: {
        tags: ['Retention'],
        summary: 'Take the lock of a backup away',
        params: IdParams,
        response: { 200: LockAnswer },
      },
    },
    async (request) => {
      const { id } = await findBackup(deps, request, request.params.id, 'admin');
      await deps.db.transaction(async (tx) => {
        await relock(tx, id);
        await tx.backups.change(id, { lockedAt: null, lockedBy: null, lockReason: null, lockUntil: null });
      });
      return answer(id, null);
    },
  );
}

function answer(id: string, locked: ReturnType<typeof viewLock>) {
  return { success: true as const, data: { backup_id: id, locked, at: new Date().toISOString() } };
}

/** A time without a zone would be another one elsewhere; one that is past would lock nothing. */
function readUntil(text: string | null): Date | null {
  if (text === null) return null;
  const until = new Date(text);
  const full = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  if (full && until.getTime() > Date.now()) return until;
  const message = full
    ? 'must be in the future'
    : 'must be an ISO 8601 time with a zone: 2027-01-31T00:00:00Z';
  throw invalid([{ path: 'body/until', message }]);
}
