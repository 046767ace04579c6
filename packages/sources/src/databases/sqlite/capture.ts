import { basename } from 'node:path';
import type { SqliteTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { aboutDump } from '../about.ts';
import type { DatabaseCapture } from '../database-capture.ts';
import type { Dump } from '../dump-tar.ts';
import { dumpName } from '../names.ts';
import { startTool, toolOutput } from '../run-tool.ts';
import { BACKUP_SCRIPT, LOOK_SCRIPT } from './backup-script.ts';

const DUMP_ENDING = '.sqlite';
/** The script's first line: version, tables, records, bytes of the copy, and whether it is sound. */
const HEAD = /^([0-9.]+) (\d+) (\d+) (\d+) (ok|damaged)$/;
const HEAD_MAX = 1000;

/** A SQLite database as it was at one moment, whatever is written to it meanwhile. */
export async function captureSqlite(
  place: { session: Session; signal: AbortSignal },
  target: SqliteTarget,
  serviceId: string,
  warn: (warning: SourceWarning) => void,
): Promise<DatabaseCapture> {
  const { path } = target;
  const looked = await place.session.run(['sh', '-c', LOOK_SCRIPT, 'sh', path], { signal: place.signal });
  if (looked.code !== 0) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `There is no database ${path} on the server: ${looked.stderr.toString().trim()}`,
    );
  }
  const [bytes, owner, mode] = looked.stdout.toString().trim().split(' ');
  const facts = { serverVersion: '', tables: 0, records: 0 };
  const sqlite = target.binDir === null ? 'sqlite3' : `${target.binDir.replace(/\/+$/, '')}/sqlite3`;

  const database: Dump = {
    name: dumpName(basename(path), DUMP_ENDING),
    async *bytes() {
      const tool = await startTool({
        ...place,
        where: { runAs: target.runAs, binDir: null },
        ...{ package: 'sqlite3', program: 'sh', called: 'sqlite3', secret: null },
        args: ['-c', BACKUP_SCRIPT, 'sqlite3', path, serviceId, sqlite],
      });
      tool.stdin.end();
      let head: Buffer | null = Buffer.alloc(0);
      let left = 0;
      for await (const chunk of toolOutput(tool)) {
        let content: Buffer = chunk;
        if (head !== null) {
          head = Buffer.concat([head, chunk]);
          const end = head.indexOf('\n');
          if (end === -1 && head.length < HEAD_MAX) continue;
          const match = HEAD.exec(head.subarray(0, Math.max(0, end)).toString());
          if (!match)
            throw new AppError('COMMAND_FAILED', 'The server printed something else than was asked for.');
          const [, version = '', tables, records, size, sound] = match;
          Object.assign(facts, { serverVersion: version, tables: Number(tables), records: Number(records) });
          if (sound === 'damaged') warn(damaged(path));
          left = Number(size);
          content = head.subarray(end + 1);
          head = null;
        }
        left -= content.length;
        yield content;
      }
      if (head !== null || left !== 0) {
        throw new AppError('COMMAND_FAILED', `The copy of ${path} did not arrive whole.`, {
          retryable: true,
        });
      }
    },
  };
  async function* dumps(): AsyncGenerator<Dump> {
    yield aboutDump({ v: 1, type: 'sqlite', path, owner, mode });
    yield database;
  }
  return {
    dumps: dumps(),
    bytes: Number(bytes) || 0,
    facts: () => ({ method: 'sqlite3_backup', databases: [path], ...facts }),
  };
}

function damaged(path: string): SourceWarning {
  const message = `SQLite's own check finds that ${path} is damaged; the backup holds it as it is. Look at PRAGMA integrity_check.`;
  return { code: 'DATABASE_DAMAGED', message, path: Buffer.from(path) };
}
