import { createHash } from 'node:crypto';
import { PostgresTarget } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { createStateReader } from '../../../state-reader.ts';

const closed = { additionalProperties: false } as const;
const Oid = Type.String({ pattern: '^[0-9]+$' });

const DatabaseState = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    /** What the restored one is called until it is put in place, and after that is undone. */
    scratch: Type.String({ minLength: 1 }),
    /** What the one that was there is called from then on. */
    old: Type.String({ minLength: 1 }),
    /** Of the restored one: names may be taken by others, this is not. */
    oid: Oid,
    /** Of the one that was there; null when there was none. */
    oldOid: Type.Union([Oid, Type.Null()]),
  },
  closed,
);
export type DatabaseState = Static<typeof DatabaseState>;

const PostgresState = Type.Object(
  {
    kind: Type.Literal('postgres'),
    /** Its password as it was sealed for the pool. */
    target: PostgresTarget,
    databases: Type.Array(DatabaseState),
    /** Only of what is claimed: what the databases to come are called. */
    scratch: Type.Optional(Type.Array(Type.String({ pattern: '_tarfleet_[0-9a-f]{10}$' }))),
    /** Roles that were made for this restore. */
    roles: Type.Array(Type.String()),
    parts: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
  },
  closed,
);
export type PostgresState = Static<typeof PostgresState>;

export const readPostgresState = createStateReader(
  PostgresState,
  () => 'databases with names like ..._tarfleet_... are still there',
);

/** Longer names are cut by the server, without a word to the wrong one. */
const NAME_BYTES = 63;

/** Names of a job's own, the same in every attempt. */
export function namesFor(name: string, jobId: string): { scratch: string; old: string } {
  const mark = createHash('sha256').update(`${jobId}\0${name}`).digest('hex').slice(0, 10);
  return { scratch: withEnd(name, `_tarfleet_${mark}`), old: withEnd(name, `_tarfleet_old_${mark}`) };
}

function withEnd(name: string, end: string): string {
  let begin = name;
  while (Buffer.byteLength(begin + end) > NAME_BYTES) begin = [...begin].slice(0, -1).join('');
  return begin + end;
}
