import type { RowsTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { PreparedRestore, PrepareOptions, PreviewOptions, RestoreContext, Source } from '../../types.ts';
import type { DatabaseSourceOptions } from '../database-source-options.ts';
import { postgresTools } from '../postgres/tools.ts';
import { readDumps } from '../read-dumps.ts';
import { wholePreview } from '../whole-preview.ts';
import { compareTables, firstOf } from './archived-tables.ts';
import { lookAtRows } from './look.ts';
import type { Metadata } from './metadata.ts';
import { relate } from './relations.ts';
import { checkRows, inhabited, prepareRows, type RowsRestore } from './restore-prepare.ts';
import { readRowsState } from './restore-state.ts';
import { applyRows, forgetRows, type RowsSwap, undoableRows, undoRows } from './restore-swap.ts';

/** What the archive says of itself; no more of it is read than that. */
async function archived({ openTar }: Pick<PreviewOptions, 'openTar'>): Promise<Metadata> {
  const tar = await openTar();
  try {
    return await firstOf(readDumps(tar, () => undefined));
  } finally {
    tar.on('error', () => undefined);
    tar.destroy();
  }
}

/** Restores of one tenant's rows. */
export function createRowsSteps({ openSecrets }: DatabaseSourceOptions): Omit<Source, 'capture'> {
  const toolsFor = async (context: RestoreContext, target: RowsTarget) => {
    const password = (await openSecrets(target))?.password ?? null;
    return { tools: postgresTools(context, target, password), hasPassword: password !== null };
  };
  const begin = async (
    options: Pick<PrepareOptions, 'service' | 'database'> & RestoreContext,
  ): Promise<RowsRestore> => {
    const { service, database } = options;
    const target = service.database;
    if (target?.type !== 'rows' || !database) {
      throw new AppError('PLAN_INVALID', `The plan does not say how ${service.name} is restored.`);
    }
    return { tools: (await toolsFor(options, target)).tools, target, ...database };
  };
  const swapOf = async (prepared: PreparedRestore, context: RestoreContext): Promise<RowsSwap> => {
    const state = readRowsState(prepared);
    return { ...(await toolsFor(context, state.target)), state, context };
  };
  return {
    async check(options) {
      await checkRows(await begin(options), options);
    },
    prepare: async (options) => prepareRows(await begin(options), options),
    apply: async (prepared, context) => applyRows(await swapOf(prepared, context)),
    undo: async (prepared, context) => undoRows(await swapOf(prepared, context)),
    undoable: async (prepared, context) => undoableRows(await swapOf(prepared, context)),
    forget: (prepared, context, { keepOld }) => forgetRows(readRowsState(prepared), context, keepOld),
    async preview({ entries, ...options }) {
      await entries.return(undefined);
      const restore = await begin(options);
      const { tools, target } = restore;
      const relations = relate(target.rows, (await lookAtRows(tools, target)).tables);
      await compareTables(tools, target, await archived(options));
      const there = await inhabited(restore, relations);
      return wholePreview(
        target.rows.tables.map(({ name }) => name),
        (name) => there.includes(name),
      );
    },
  };
}
