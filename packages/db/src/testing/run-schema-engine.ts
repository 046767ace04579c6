import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What the engine says: the SQL that is missing, the state of the history, the migrations it applied. */
export async function runSchemaEngine(
  command: 'diff' | 'diagnose' | 'deploy',
  url: string,
  migrationsDir: string,
): Promise<unknown> {
  const script = join(import.meta.dirname, 'schema-engine.ts');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--no-warnings', '--import', 'tsx', script, command, url, migrationsDir],
    { cwd: import.meta.dirname },
  );
  return JSON.parse(stdout);
}
