import { type ExecFileException, execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SCRIPT = join(__dirname, '../../tools/recover/recover.mjs');
const run = promisify(execFile);

/** The script in a process that knows nothing but what it is told. */
export async function recover(args: string[], env: Record<string, string> = {}) {
  const options = { env: { PATH: process.env.PATH ?? '', ...env }, maxBuffer: 1 << 26 };
  const ended = await run(process.execPath, [SCRIPT, ...args], options).catch(
    (error: ExecFileException) => error,
  );
  const code = 'code' in ended ? Number(ended.code) : 0;
  return { code, stdout: String(ended.stdout), stderr: String(ended.stderr) };
}
