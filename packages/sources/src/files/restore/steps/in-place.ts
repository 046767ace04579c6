import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '../../../types.ts';
import { isBelow } from '../../paths.ts';
import { inTree, merge } from '../merge.ts';
import { serverFault } from '../server-words.ts';
import { stageWords } from '../stage.ts';
import { writeInStage } from './furnish.ts';
import * as scripts from './in-place-script.ts';
import { look } from './look.ts';
import {
  decode,
  type PreparedState,
  placeOf,
  type RootState,
  rootsOfMode,
  type StageState,
  stageOf,
} from './prepared-state.ts';
import { below, groupSurvivors, listSurvivors } from './survivors.ts';
import { carried } from './swap.ts';
import { FUNCTIONS } from './swap-functions.ts';

/** Names that stay when a place is emptied, and the folders below it that are emptied one by one. */
interface Kept {
  survivors: Buffer[];
  mounts: Buffer[];
}

/**
 * Roots whose folder cannot be renamed. Notes of each, in `state/N` of the stage: `clearing` once the old content is
 * archived, `filling` once it is gone, `filled`; then `emptying` once the archive is unpacked again, `refilling`,
 * `undone`. Each phase can be repeated.
 */
export function inPlace(context: RestoreContext, state: PreparedState, stageState: StageState) {
  const { session, signal, warn } = context;
  const stage = stageOf(stageState);
  const roots = rootsOfMode(stageState, 'in-place').filter(({ root }) => root.fresh !== '');

  async function run(
    script: string,
    root: RootState,
    at: number,
    words: readonly (string | Buffer)[] = [],
    input: Buffer = Buffer.alloc(0),
  ): Promise<string> {
    const own = [FUNCTIONS, carried(state.tarOptions), String(at), decode(root.anchor), decode(root.rest)];
    const done = await session.run(['sh', '-c', script, 'sh', ...stageWords(stage), ...own, ...words], {
      ...{ signal, input },
    });
    if (done.code === 0) return done.stdout.toString().trim();
    const what = `${placeOf(root).toString()} could not be restored in place`;
    throw serverFault(
      what,
      done.stderr.toString().trim().slice(-2000) || `exit ${done.code}`,
      'RESTORE_FAILED',
    );
  }

  /** What stays now, and what stayed when the list was made. */
  async function keptIn(root: RootState, at: number): Promise<Kept> {
    const path = placeOf(root);
    const place = { anchor: decode(root.anchor), rest: decode(root.rest) };
    const around = (await look(session, { base: stage.base, roots: [place] }, signal)).places[0];
    const found =
      (await listSurvivors(session, stage, { root, at, again: true }, state.exclude, signal)) ?? [];
    return {
      survivors: [...found, ...below(path, around?.pseudo ?? [])],
      mounts: below(path, around?.mounts ?? []),
    };
  }

  async function clear(root: RootState, at: number, { survivors, mounts }: Kept): Promise<void> {
    const staying = new Map<string, Set<string>>([['', new Set()]]);
    const open = mounts.filter((mount) => !survivors.some((one) => one.equals(mount) || isBelow(mount, one)));
    for (const mount of open) staying.set(mount.toString('latin1'), new Set());
    for (const path of [...survivors, ...open]) {
      const names = path.toString('latin1').split('/');
      names.forEach((name, index) => {
        const folder = names.slice(0, index).join('/');
        const stay = staying.get(folder) ?? new Set();
        staying.set(folder, stay.add(`./${name}`));
      });
    }
    for (const [folder, names] of staying) {
      const sorted = [...names].sort().map((name) => `${name}\0`);
      await run(
        scripts.CLEAR_SCRIPT,
        root,
        at,
        [Buffer.from(folder, 'latin1')],
        Buffer.from(sorted.join(''), 'latin1'),
      );
    }
  }

  async function fill(root: RootState, path: Buffer): Promise<void> {
    const place = { path, anchor: decode(root.anchor), rest: decode(root.rest), notes: null };
    await merge({ ...{ session, stage, signal, warn }, roots: [place], overwrite: true });
  }

  async function applyRoot(root: RootState, at: number): Promise<void> {
    const note = (words: string): Promise<string> => run(scripts.NOTE_SCRIPT, root, at, [words]);
    let [phase = '', kind = ''] = (await run(scripts.STATE_SCRIPT, root, at)).split(' ');
    const tree = inTree(decode(root.staged));
    if (['emptying', 'refilling', 'undone'].includes(phase)) {
      throw new AppError('RESTORE_FAILED', `${placeOf(root).toString()} was put back already.`);
    }
    if (phase === '') {
      const { survivors } = await keptIn(root, at);
      const skipped = survivors.map((path) => path.toString('latin1')).filter((path) => !path.includes('\n'));
      const lines = Buffer.from(skipped.map((path) => `./${path}\n`).join(''), 'latin1');
      await writeInStage(session, stage, `skip/${at}`, lines, signal);
      kind = await run(scripts.ARCHIVE_SCRIPT, root, at);
      await note(`clearing ${kind}`);
      phase = 'clearing';
    }
    if (phase === 'clearing') {
      if (kind === 'directory') await clear(root, at, await keptIn(root, at));
      await run(scripts.HIDE_SCRIPT, root, at, [tree, 'hide']);
      await run(scripts.KEEP_TIMES_SCRIPT, root, at, [tree]);
      await note(`filling ${kind}`);
      phase = 'filling';
    } else if (phase === 'filling') await run(scripts.GIVE_TIMES_SCRIPT, root, at);
    if (phase === 'filling') {
      await fill(root, tree);
      await note(`filled ${kind}`);
    }
  }

  async function undoRoot(root: RootState, at: number): Promise<void> {
    const note = (words: string): Promise<string> => run(scripts.NOTE_SCRIPT, root, at, [words]);
    let [phase = '', kind = ''] = (await run(scripts.STATE_SCRIPT, root, at)).split(' ');
    if (phase === '' || phase === 'undone') return;
    if (['clearing', 'filling', 'filled'].includes(phase)) {
      if (kind !== 'absent') {
        await run(scripts.UNPACK_SCRIPT, root, at, [kind]);
        await run(scripts.HIDE_SCRIPT, root, at, [`back/${at}`, 'hide']);
      }
      phase = 'emptying';
      await note(`${phase} ${kind}`);
    }
    if (phase === 'emptying') {
      if (kind === 'directory') await clear(root, at, await keptIn(root, at));
      else await run(scripts.REMOVE_SCRIPT, root, at);
      if (kind !== 'absent') await run(scripts.KEEP_TIMES_SCRIPT, root, at, [`back/${at}`]);
      await note(`refilling ${kind}`);
    } else if (kind !== 'absent') await run(scripts.GIVE_TIMES_SCRIPT, root, at);
    if (kind !== 'absent') await fill(root, Buffer.from(`back/${at}`));
    await note('undone');
  }

  return {
    /** Lists survivors of roots not begun with, and looks whether they can stay. RESTORE_FAILED when they cannot. */
    async check(): Promise<void> {
      for (const { root, at } of roots) {
        if ((await run(scripts.STATE_SCRIPT, root, at)) !== '') continue;
        const { survivors, mounts } = await keptIn(root, at);
        await writeInStage(session, stage, `keep/${at}`, groupSurvivors([...survivors, ...mounts]), signal);
        await run(scripts.HIDE_SCRIPT, root, at, [inTree(decode(root.staged)), 'check']);
        await writeInStage(session, stage, `keep/${at}`, groupSurvivors(survivors), signal);
      }
    },
    async apply(): Promise<void> {
      for (const { root, at } of roots) await applyRoot(root, at);
    },
    async undo(): Promise<void> {
      for (const { root, at } of roots.toReversed()) await undoRoot(root, at);
    },
  };
}
