/** Looking through a destination for what belongs to no backup that is known. */
import { type Static, Type } from 'typebox';
import { Timestamp, Uuid } from './ids.ts';
import { base, closed } from './plan-parts.ts';
import { DestinationTarget } from './targets.ts';

const Count = Type.Integer({ minimum: 0 });
/** Names are cut to that: others may have used longer ones than any of ours is. */
export const LONGEST_SHOWN = 1000;

/** How many groups are told of in one event. */
export const FOUND_AT_ONCE = 500;

/** Lists all that lies in a destination and changes nothing there. */
export const SurveyPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('survey'),
    destination: DestinationTarget,
    /** What was written within so many milliseconds is left out: its records may not be there yet. */
    graceMs: Type.Integer({ minimum: 0 }),
  },
  closed,
);
export type SurveyPlan = Static<typeof SurveyPlan>;

/**
 * Objects that lie together: those of a backup, of a folder at the top, or one object alone. The same group may
 * come several times in a survey; then its numbers add up.
 */
export const FoundGroup = Type.Object(
  {
    /** A folder with a slash at its end, or an object's name as it can be shown. */
    prefix: Type.String({ minLength: 1, maxLength: LONGEST_SHOWN }),
    /** Its names can be none of ours, so somebody else put them there, whatever the folder. */
    foreign: Type.Boolean(),
    /** Whose folder it is by its name; null when it is no backup's. */
    backupId: Type.Union([Uuid, Type.Null()]),
    /** One of them. */
    example: Type.String({ maxLength: LONGEST_SHOWN }),
    objects: Count,
    bytes: Count,
    /** Unfinished ones, which are no objects yet. */
    uploads: Count,
    /** Null where the destination does not say when anything was written. */
    oldest: Type.Union([Timestamp, Type.Null()]),
    newest: Type.Union([Timestamp, Type.Null()]),
  },
  closed,
);
export type FoundGroup = Static<typeof FoundGroup>;

/** All that was seen, known or not; `young` was left out. */
export const SurveyResult = Type.Object(
  { kind: Type.Literal('survey'), objects: Count, bytes: Count, uploads: Count, young: Count },
  closed,
);
export type SurveyResult = Static<typeof SurveyResult>;
