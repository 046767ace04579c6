import { MysqlTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { createStateReader } from '../../state-reader.ts';
import type { RestoreContext } from '../../types.ts';
import { NOTE_SCRIPT, STATE_SCRIPT } from './restore-scripts.ts';

const closed = { additionalProperties: false } as const;
const Charset = Type.String({ pattern: '^[A-Za-z0-9_]+$' });
const Database = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    charset: Charset,
    collation: Charset,
    /** The one that was there; null when there was none. */
    old: Type.Union([Type.Object({ charset: Charset, collation: Charset }, closed), Type.Null()]),
  },
  closed,
);
const MysqlState = Type.Object(
  {
    kind: Type.Literal('mysql'),
    target: MysqlTarget,
    folder: Type.String({ pattern: '^/.*/databases/[A-Za-z0-9_.-]+$' }),
    databases: Type.Array(Database),
    /** Only of what is claimed: the database into which each dump is loaded to see that it is sound. */
    scratch: Type.Optional(Type.String({ pattern: '^tarfleet_[A-Za-z0-9]+$' })),
    parts: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
  },
  closed,
);
export type MysqlState = Static<typeof MysqlState>;

export const readMysqlState = createStateReader(
  MysqlState,
  ({ folders }) => `the dumps are in ${folders.join(', ')}`,
);

/** How far a database has come, as the server knows it; `gone` without its folder. */
export async function stateOf(
  { folder }: MysqlState,
  number: number,
  { session, signal }: RestoreContext,
): Promise<{ state: string; hasOld: boolean }> {
  const printed = await must(
    session.run(['sh', '-c', STATE_SCRIPT, 'sh', folder, String(number)], { signal }),
  );
  const [state = '', old] = printed.split('\n');
  return { state, hasOld: old === 'old' };
}

/** Written before, or after, what it names. */
export async function note(
  { folder }: MysqlState,
  number: number,
  word: 'begun' | 'applied' | 'undone',
  { session, signal }: RestoreContext,
): Promise<void> {
  await must(session.run(['sh', '-c', NOTE_SCRIPT, 'sh', folder, String(number), word], { signal }));
}

/** What a small command printed. RESTORE_FAILED with what it said. */
export async function must(
  run: Promise<{ code: number | null; stdout: Buffer; stderr: Buffer }>,
): Promise<string> {
  const { code, stdout, stderr } = await run;
  if (code === 0) return stdout.toString();
  throw new AppError(
    'RESTORE_FAILED',
    stderr.toString().trim().slice(-500) || 'A command on the server failed without a word.',
  );
}
