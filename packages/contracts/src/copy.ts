/** A backup's further destinations: what was made at its main one is copied there, object by object. */
import { type Static, Type } from 'typebox';
import { Uuid } from './ids.ts';
import { base, closed, HoldsBackups, KeyPrefix } from './plan-parts.ts';
import { DestinationTarget } from './targets.ts';

const Count = Type.Integer({ minimum: 0 });

/** A backup has at most so many further destinations. */
export const MOST_COPIES = 8;

/** Copies one backup's own objects. What it builds on is at the destination before this is sent. */
export const CopyPlan = Type.Object(
  {
    ...base,
    kind: Type.Literal('copy'),
    backupId: Uuid,
    keyPrefix: KeyPrefix,
    /** Of the manifest as the API recorded it. */
    manifestSha256: Type.String(),
    source: DestinationTarget,
    destination: DestinationTarget,
    holdsBackups: HoldsBackups,
  },
  closed,
);
export type CopyPlan = Static<typeof CopyPlan>;

/** `objects` and `bytes` are what the copy holds; `kept` how many of them were there before, and right. */
export const CopyResult = Type.Object(
  { kind: Type.Literal('copy'), objects: Count, bytes: Count, kept: Count },
  closed,
);
export type CopyResult = Static<typeof CopyResult>;

/** Destinations that hold copies, for jobs that go through every one of them; plans of earlier versions know of none. */
export const CopyTargets = Type.Optional(Type.Array(DestinationTarget));
