import type { CopyRef } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { tellCopiesFailed } from '../notifier/outbox.ts';
import { switchedOff } from '../planner/choose-destinations.ts';
import { planCopy } from '../planner/copy.ts';
import { BATCH, type ReconcilerOptions } from './reconciler-options.ts';

type Options = Pick<ReconcilerOptions, 'db' | 'dispatcher' | 'keys' | 'logger'>;

/**
 * Starts the copies that can be made now. That one is wanted is stored with its backup, so none is forgotten, whichever
 * process dies; and each is begun once, for its row goes over to its job in the transaction that stores that.
 */
export async function startCopies(options: Options): Promise<void> {
  for (const ref of await options.db.copies.due(BATCH)) {
    try {
      await startCopy(options, ref);
    } catch (error) {
      if (error instanceof AppError && error.code === 'UNAVAILABLE') throw error;
      // Another process was quicker, or something else is done with the backup: the next round looks again.
      const { logger } = options;
      if (error instanceof AppError && LATER.has(error.code)) logger.debug({ ...ref }, 'copied later');
      else if (error instanceof AppError && !error.retryable) await giveUp(options, ref, error);
      else logger.warn({ err: error, ...ref }, 'a copy could not be started, it is tried again');
    }
  }
}

const LATER = new Set(['CONFLICT', 'BACKUP_NOT_FOUND']);

async function startCopy({ db, dispatcher, keys }: Options, ref: CopyRef): Promise<void> {
  const { backupId, destinationId } = ref;
  const [backup, destination] = [await db.backups.get(backupId), await db.destinations.get(destinationId)];
  if (!backup || !destination) return;
  if (!destination.enabled) return giveUp({ db }, ref, switchedOff(destination));
  const requestId = `copy-${backupId}`;
  await dispatcher.submit(await planCopy({ db, keys }, { backup, destinationId, userId: null, requestId }));
}

/** It has failed before it was begun, and may be tried again. */
async function giveUp({ db }: Pick<Options, 'db'>, ref: CopyRef, { code, message }: AppError): Promise<void> {
  await db.transaction(async (tx) => {
    const backup = await tx.backups.get(ref.backupId);
    if (!backup) return;
    const concerned = await tx.copies.fail(ref, 'pending', { code, message, retryable: false }, new Date());
    await tx.copies.showIn(concerned);
    await tellCopiesFailed(tx, backup, concerned, new Date());
  });
}
