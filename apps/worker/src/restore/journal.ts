import { createParser, Failure, RestoreResult, Uuid } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { PreparedRestore } from '@tarfleet/sources';
import { type Static, Type } from 'typebox';
import type { Guard } from './guard.ts';

const closed = { additionalProperties: false } as const;

/**
 * How far a restore has come; each is written before what it names begins.
 *
 * - `preparing`: unpacking beside the targets; nothing else has changed. Each part says what is about to be made, then what was.
 * - `stopping`: services are being stopped; every file is the old one.
 * - `applying`: files are being put in place.
 * - `starting`: every file is the new one; services are being started and checked.
 * - `undoing`: everything goes back, for the reason in `failure`.
 * - `ended`: `end` says how. Nothing more is done but on a rollback's own order.
 */
export const PHASES = ['preparing', 'stopping', 'applying', 'starting', 'undoing', 'ended'] as const;
export type Phase = (typeof PHASES)[number];

const Part = Type.Object(
  {
    artifactId: Uuid,
    service: Type.String(),
    prepared: Type.Object(
      { v: Type.Literal(1), folders: Type.Array(Type.String()), state: Type.Unknown() },
      closed,
    ),
  },
  closed,
);

export const Journal = Type.Object(
  {
    v: Type.Literal(1),
    jobId: Uuid,
    phase: Type.Enum([...PHASES]),
    /** Services that ran before any was stopped, by id. */
    up: Type.Array(Uuid),
    parts: Type.Array(Part),
    /** While `undoing`: whether files go back, too, or services alone. */
    undoFiles: Type.Boolean(),
    /** While `undoing`: how far the files had come, `applying` once they go back; and why they do. */
    before: Type.Union([Type.Enum([...PHASES]), Type.Null()]),
    failure: Type.Union([Failure, Type.Null()]),
    end: Type.Union([
      Type.Object({ result: RestoreResult, failure: Type.Union([Failure, Type.Null()]) }, closed),
      Type.Null(),
    ]),
  },
  closed,
);
export type Journal = Static<typeof Journal>;
export type JournalPart = Static<typeof Part> & { prepared: PreparedRestore };

const parse = createParser(Journal);

export function newJournal(jobId: string): Journal {
  return {
    v: 1,
    jobId,
    phase: 'preparing',
    up: [],
    parts: [],
    undoFiles: false,
    before: null,
    failure: null,
    end: null,
  };
}

/** What an earlier attempt wrote. RESTORE_FAILED where it cannot be read: then people have to look. */
export function readJournal(bytes: Buffer, jobId: string): Journal {
  const parsed = parse(tryJson(bytes));
  if (parsed.ok && parsed.value.jobId === jobId) return parsed.value;
  throw new AppError(
    'RESTORE_FAILED',
    `The journal of this restore on the server is damaged (restores/${jobId}/journal.json in Tarfleet's folder): nothing is done without it. Look at the services and the folders .tarfleet-restore-* beside their paths.`,
  );
}

export async function writeJournal(guard: Guard, journal: Journal, signal: AbortSignal): Promise<void> {
  await guard.write(Buffer.from(`${JSON.stringify(journal)}\n`), signal);
}

function tryJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    // What is no JSON is no journal either: the caller says so.
    return null;
  }
}
