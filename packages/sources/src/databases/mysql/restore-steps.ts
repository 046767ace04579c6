import { AppError } from '@tarfleet/kernel';
import type { PrepareOptions, RestoreContext, Source } from '../../types.ts';
import type { DatabaseSourceOptions } from '../database-source-options.ts';
import { wholePreview } from '../whole-preview.ts';
import { checkMysql, type MysqlRestore, prepareMysql } from './restore-prepare.ts';
import { type MysqlState, readMysqlState } from './restore-state.ts';
import { applyMysql, forgetMysql, undoableMysql, undoMysql } from './restore-swap.ts';
import { type MysqlTools, mysqlTools } from './tools.ts';

/** Restores of MySQL and MariaDB. */
export function createMysqlSteps({ openSecrets }: DatabaseSourceOptions): Omit<Source, 'capture'> {
  const toolsFor = async (context: RestoreContext, target: MysqlState['target']): Promise<MysqlTools> =>
    mysqlTools(context, target, (await openSecrets(target))?.password ?? null);
  const begin = async (
    options: Pick<PrepareOptions, 'service' | 'database'> & RestoreContext,
  ): Promise<MysqlRestore> => {
    const { service, database } = options;
    const target = service.database;
    if (target?.type !== 'mysql' || !database) {
      throw new AppError('PLAN_INVALID', `The plan does not say how ${service.name} is restored.`);
    }
    const tools = await toolsFor(options, target);
    return { tools, toolsFor: (context) => toolsFor(context, target), target, ...database };
  };
  return {
    async check(options) {
      await checkMysql(await begin(options), options);
    },
    prepare: async (options) => prepareMysql(await begin(options), options),
    async apply(prepared, context) {
      const state = readMysqlState(prepared);
      return applyMysql(await toolsFor(context, state.target), state, context);
    },
    async undo(prepared, context) {
      const state = readMysqlState(prepared);
      await undoMysql(await toolsFor(context, state.target), state, context);
    },
    undoable: (prepared, context) => undoableMysql(readMysqlState(prepared), context),
    async forget(prepared, context, { keepOld }) {
      const state = readMysqlState(prepared);
      await forgetMysql(() => toolsFor(context, state.target), state, context, keepOld);
    },
    async preview({ entries, ...options }) {
      await entries.return(undefined);
      const { tools, facts } = await begin(options);
      const there = await tools.databases(facts.databases);
      return wholePreview(facts.databases, (name) => there.some((one) => one.name === name));
    },
  };
}
