import { type Static, Type } from 'typebox';
import { createStateReader } from '../../../state-reader.ts';
import type { Stage } from '../stage.ts';

const closed = { additionalProperties: false } as const;
/** Any bytes. */
const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$' });
const Identity = Type.String({ pattern: '^[0-9]+:[0-9]+$' });

/**
 * How a root gets to its place. `swap`: by rename, the old one is kept. `in-place`: its folder cannot be renamed, so
 * what is in it is archived and replaced. `add`: what is missing is added. `skip`: not at all.
 */
const Mode = Type.Enum(['swap', 'in-place', 'add', 'skip']);
export type Mode = Static<typeof Mode>;

const RootState = Type.Object(
  {
    mode: Mode,
    /** In the archive: absolute, the root of all as an empty text. Excludes were written for paths below it. */
    source: Base64,
    staged: Base64,
    anchor: Base64,
    rest: Base64,
    /** Roots of the same service inside this one, from here; for excludes, which do not apply to them. */
    inner: Type.Array(Base64),
    /** Device and inode of the staged root; empty when the archive does not hold it. */
    fresh: Type.Union([Identity, Type.Literal('')]),
  },
  closed,
);
export type RootState = Static<typeof RootState>;

const StageState = Type.Object(
  {
    base: Base64,
    name: Type.String({ pattern: '^\\.tarfleet-restore-[A-Za-z0-9._-]+$' }),
    identity: Identity,
    token: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    roots: Type.Array(RootState),
    files: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
  },
  closed,
);
export type StageState = Static<typeof StageState>;

const ClaimedStage = Type.Object(
  {
    base: Base64,
    name: StageState.properties.name,
    token: StageState.properties.token,
  },
  closed,
);

const PreparedState = Type.Object(
  {
    kind: Type.Literal('files'),
    exclude: Type.Array(Type.String()),
    /** tar's options on that server, for reading back. */
    tarOptions: Type.Array(Type.String()),
    stages: Type.Array(StageState),
    /** Working folders that may be there or not, by their names alone. */
    claimed: Type.Optional(Type.Array(ClaimedStage)),
  },
  closed,
);
export type PreparedState = Static<typeof PreparedState>;

export const readState = createStateReader(
  PreparedState,
  () => 'the folders of the restore (.tarfleet-restore-*) are still there',
);

export const encode = (bytes: Buffer): string => bytes.toString('base64');
export const decode = (text: string): Buffer => Buffer.from(text, 'base64');

export function stageOf(state: StageState): Stage {
  const { base, name, identity, token } = state;
  return { base: decode(base), name, identity, token };
}

/** Where a root belongs on the server. */
export function placeOf({ anchor, rest }: RootState): Buffer {
  return joinPath(decode(anchor), decode(rest));
}

export function joinPath(folder: Buffer, rest: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from(folder.equals(Buffer.from('/')) ? '' : '/'), rest]);
}

/** The roots of a mode, each with its number in the stage. */
export function rootsOfMode({ roots }: StageState, mode: Mode): { root: RootState; at: number }[] {
  return roots.flatMap((root, at) => (root.mode === mode ? [{ root, at }] : []));
}

/** As the scripts take them: number, anchor, rest. */
export function rootWords(roots: readonly { root: RootState; at: number }[]): (string | Buffer)[] {
  return roots.flatMap(({ root, at }) => [
    String(at),
    decode(root.anchor),
    decode(root.rest),
    root.fresh || '-',
  ]);
}
