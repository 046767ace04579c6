import { AppError } from '@tarfleet/kernel';
import { planSurvey } from '../planner/survey.ts';
import { BATCH, forEach, type ReconcilerOptions } from './reconciler-options.ts';

/** Between two looks for destinations that are due. */
const LOOK_MS = 60_000;

/** Between the start of the process and its first look: it has other things to do. */
const FIRST_MS = 10 * 60_000;

/** Has each destination that holds backups looked through every so many milliseconds (0: never), by whichever process comes first. */
export function createSurveyRun(
  everyMs: number,
  firstMs = FIRST_MS,
): (options: ReconcilerOptions) => Promise<void> {
  let next = Date.now() + Math.min(firstMs, everyMs);
  return async function surveyDue(options) {
    if (everyMs === 0 || Date.now() < next) return;
    next = Date.now() + Math.min(LOOK_MS, everyMs);
    const { db, dispatcher, keys, sweepGraceMs: graceMs, logger } = options;
    const before = new Date((await db.schedules.clock()).getTime() - everyMs);
    const due = (await db.surveys.due(before, BATCH)).map((id) => ({ id }));
    await forEach(options, due, async ({ id }) => {
      const destination = await db.destinations.get(id);
      if (!destination) return;
      const request = { destination, userId: null, requestId: `survey-${id}`, graceMs, before };
      try {
        await dispatcher.submit(await planSurvey({ db, keys }, request));
      } catch (error) {
        // Another process was quicker; a pool without workers of its own is its administrator's matter.
        if (!(error instanceof AppError) || !LATER.has(error.code)) throw error;
        logger.debug({ destinationId: id, code: error.code }, 'a destination is looked through later');
      }
    });
  };
}

const LATER = new Set(['CONFLICT', 'POOL_NOT_FOUND']);
