import type { DatabaseTarget, PreviewChanges } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { PreparedRestore, PrepareOptions, PreviewOptions, RestoreContext, Source } from '../types.ts';
import type { DatabaseSourceOptions } from './database-source-options.ts';
import { createFileSteps, type FileEngine } from './file-swap/restore-steps.ts';
import { createMysqlSteps } from './mysql/restore-steps.ts';
import { checkPostgres, type PostgresRestore, preparePostgres } from './postgres/restore/prepare.ts';
import { homeFor, listDatabases, oidOf } from './postgres/restore/server.ts';
import { type PostgresState, readPostgresState } from './postgres/restore/state.ts';
import { applyPostgres, forgetPostgres, undoablePostgres, undoPostgres } from './postgres/restore/swap.ts';
import { type PostgresTools, postgresTools } from './postgres/tools.ts';
import { redisEngine } from './redis/restore.ts';
import { createRowsSteps } from './rows/restore-steps.ts';
import { sqliteEngine } from './sqlite/restore.ts';
import { wholePreview } from './whole-preview.ts';

/** Restores of databases, each as its engine allows. */
export function createDatabaseSteps(deps: DatabaseSourceOptions): Omit<Source, 'capture'> {
  const postgres = postgresSteps(deps);
  const files = createFileSteps(async (options) => {
    const { service, database: restore } = options;
    if (!restore)
      throw new AppError('PLAN_INVALID', `The plan does not say how ${service.name} is restored.`);
    return { engine: await fileEngine(deps, options), ...restore };
  });
  const mysql = createMysqlSteps(deps);
  const rows = createRowsSteps(deps);
  const of = (type: unknown): Omit<Source, 'capture'> => {
    if (type === 'sqlite' || type === 'redis') return files;
    if (type === 'rows') return rows;
    return type === 'mysql' ? mysql : postgres;
  };
  const ofState = ({ state }: PreparedRestore) => of((state as { kind?: unknown } | null)?.kind);
  return {
    check: (options) => of(options.service.database?.type).check(options),
    prepare: (options) => of(options.service.database?.type).prepare(options),
    preview: (options) => of(options.service.database?.type).preview(options),
    apply: (prepared, context) => ofState(prepared).apply(prepared, context),
    undo: (prepared, context) => ofState(prepared).undo(prepared, context),
    undoable: (prepared, context) => ofState(prepared).undoable(prepared, context),
    forget: (prepared, context, options) => ofState(prepared).forget(prepared, context, options),
  };
}

async function fileEngine(
  { openSecrets }: DatabaseSourceOptions,
  options: RestoreContext & Pick<PrepareOptions, 'service'>,
): Promise<FileEngine> {
  const { database, name } = options.service;
  if (database?.type === 'sqlite') return sqliteEngine(options, database);
  if (database?.type === 'redis') {
    return redisEngine(options, database, (await openSecrets(database))?.password ?? null);
  }
  throw new AppError('PLAN_INVALID', `The plan does not say which database ${name} is.`);
}

function postgresSteps({ openSecrets }: DatabaseSourceOptions): Omit<Source, 'capture'> {
  const toolsFor = async (context: RestoreContext, target: PostgresState['target']): Promise<PostgresTools> =>
    postgresTools(context, target, (await openSecrets(target))?.password ?? null);

  const begin = async (
    options: Pick<PrepareOptions, 'service' | 'database'> & RestoreContext,
  ): Promise<PostgresRestore> => {
    const { service, database } = options;
    const target = asPostgres(service.database, service.name);
    if (!database)
      throw new AppError('PLAN_INVALID', `The plan does not say how ${service.name} is restored.`);
    const tools = await toolsFor(options, target);
    return { tools, toolsFor: (context) => toolsFor(context, target), target, ...database };
  };

  const prepared = async (given: PreparedRestore, context: RestoreContext) => {
    const state = readPostgresState(given);
    return { state, tools: await toolsFor(context, state.target) };
  };

  return {
    check: async (options) => checkPostgres(await begin(options)),
    prepare: async (options) => preparePostgres(await begin(options), options),
    async apply(given, context) {
      const { state, tools } = await prepared(given, context);
      return applyPostgres(tools, state);
    },
    async undo(given, context) {
      const { state, tools } = await prepared(given, context);
      await undoPostgres(tools, state);
    },
    async undoable(given, context) {
      const { state, tools } = await prepared(given, context);
      return undoablePostgres(tools, state);
    },
    async forget(given, context, { keepOld }) {
      const { state, tools } = await prepared(given, context);
      await forgetPostgres(tools, state, keepOld);
    },
    preview: async (options) => preview(await begin(options), options),
  };
}

async function preview(
  { tools, facts }: PostgresRestore,
  { entries }: PreviewOptions,
): Promise<PreviewChanges> {
  await entries.return(undefined);
  const there = await listDatabases(tools, homeFor(facts.databases));
  return wholePreview(facts.databases, (name) => oidOf(there, name) !== null);
}

function asPostgres(database: DatabaseTarget | undefined, name: string): PostgresState['target'] {
  if (database?.type === 'postgres') return database;
  throw new AppError('PLAN_INVALID', `The plan does not say which database ${name} is.`);
}
