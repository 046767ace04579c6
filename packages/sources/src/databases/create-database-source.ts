import type { DatabaseTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { linkSignal } from '../files/link-signal.ts';
import { createWarningLimiter } from '../files/warnings.ts';
import type { Capture, CaptureOptions, Source, SourceWarning } from '../types.ts';
import type { DatabaseCapture } from './database-capture.ts';
import type { DatabaseSourceOptions } from './database-source-options.ts';
import { DUMP_ROOT, dumpTar } from './dump-tar.ts';
import { captureMysql } from './mysql/capture.ts';
import { mysqlTools } from './mysql/tools.ts';
import { PART_BYTES } from './parts.ts';
import { capturePostgres } from './postgres/capture.ts';
import { postgresTools } from './postgres/tools.ts';
import { captureRedis } from './redis/capture.ts';
import { createDatabaseSteps } from './restore-steps.ts';
import { captureRows } from './rows/capture.ts';
import { captureSqlite } from './sqlite/capture.ts';

/** Databases of a server, by their own tools. */
export function createDatabaseSource(deps: DatabaseSourceOptions): Source {
  return {
    capture: (options) => captureDatabase(deps, options),
    ...createDatabaseSteps(deps),
  };
}

async function captureDatabase(
  { openSecrets }: DatabaseSourceOptions,
  { session, service, warn, onEntry, parent, ...options }: CaptureOptions,
): Promise<Capture> {
  const { database } = service;
  if (!database)
    throw new AppError('PLAN_INVALID', `The plan does not say which database ${service.name} is.`);
  // There is nothing to compare a dump with.
  await parent?.return(undefined);
  const link = linkSignal(options.signal);
  const limiter = createWarningLimiter(warn);
  try {
    const secrets = await openSecrets(database);
    const place = { session, signal: link.signal };
    const found = await captureOf(place, service, database, secrets?.password ?? null, limiter.warn);
    const mtime = String(Math.floor(Date.now() / 1000));
    const { tar, index } = dumpTar({ dumps: found.dumps, mtime, signal: link.signal, onEntry });
    tar.once('close', () => {
      // Whoever stopped reading early: nothing of it goes on running on the server.
      if (!tar.readableEnded) link.abort(tar.errored ?? new Error('The capture was given up.'));
      link.release();
      limiter.close();
    });
    return {
      roots: [DUMP_ROOT],
      totals: { files: Math.ceil(found.bytes / PART_BYTES), directories: 1, other: 0, bytes: found.bytes },
      ...{ tar, index, unreadable: () => [], database: found.facts },
      async close() {
        tar.destroy();
      },
    };
  } catch (error) {
    link.abort(error);
    link.release();
    throw error;
  }
}

async function captureOf(
  place: Pick<CaptureOptions, 'session' | 'signal'>,
  service: Pick<CaptureOptions['service'], 'id'>,
  database: DatabaseTarget,
  password: string | null,
  warn: (warning: SourceWarning) => void,
): Promise<DatabaseCapture> {
  switch (database.type) {
    case 'postgres':
      return capturePostgres(postgresTools(place, database, password), database, warn);
    case 'mysql':
      return captureMysql(await mysqlTools(place, database, password), database, warn);
    case 'sqlite':
      return captureSqlite(place, database, service.id, warn);
    case 'redis':
      return captureRedis(place, database, password);
    case 'rows':
      return captureRows(postgresTools(place, database, password), database);
  }
}
