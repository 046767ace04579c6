import type { RedisTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '../../types.ts';
import { stagedPath } from '../file-swap/file-swap.ts';
import type { FileEngine } from '../file-swap/restore-steps.ts';
import { runTool, type ToolCall } from '../run-tool.ts';
import { redisCall } from './capture.ts';

/** Argument: process, folder. Whether the process works in that very folder: redis does in the one of its RDB file. */
const SAME_FOLDER_SCRIPT = `[ "/proc/$1/cwd" -ef "$2" ] && [ "/proc/$1/root" -ef / ]`;

/**
 * The RDB file that a running redis reads when it starts. NOT_SUPPORTED when it would read something else, or its file
 * is not on this server.
 */
export async function redisEngine(
  context: RestoreContext,
  target: RedisTarget,
  password: string | null,
): Promise<FileEngine> {
  const call = (args: readonly string[]): ToolCall => redisCall(context, target, password, args);
  const setting = async (name: string): Promise<string> => {
    const printed = await runTool(call(['CONFIG', 'GET', name]));
    const [found, value = ''] = printed.split('\n');
    if (found === name) return value;
    throw new AppError(
      'COMMAND_FAILED',
      `redis does not say what its ${name} is: ${printed.trim().slice(0, 300)}`,
    );
  };
  const info = await runTool(call(['INFO']));
  const dir = await setting('dir');
  const file = await setting('dbfilename');
  if ((await setting('appendonly')) !== 'no') {
    throw new AppError(
      'NOT_SUPPORTED',
      'This redis reads its append-only file when it starts, not the RDB file that a backup holds. Set appendonly to no for the time of the restore, or load the RDB file by hand.',
    );
  }
  const process = /^process_id:(\d+)/m.exec(info)?.[1] ?? '';
  const same = await context.session.run(['sh', '-c', SAME_FOLDER_SCRIPT, 'sh', process, dir], context);
  if (same.code !== 0) {
    throw new AppError(
      'NOT_SUPPORTED',
      `The folder ${dir} that redis reads its RDB file from is not one of this server, or this user cannot tell: redis runs elsewhere or in a container. Restore its file by hand.`,
    );
  }
  return {
    ...{
      kind: 'redis',
      path: `${dir.replace(/\/$/, '')}/${file}`,
      holdsData: /^db\d+:keys=[1-9]/m.test(info),
    },
    rewritten: true,
    also: () => [],
    async check(swap) {
      const program = 'redis-check-rdb';
      await runTool({
        ...call([]),
        args: [stagedPath(swap)],
        program,
        secret: null,
        where: { ...target, runAs: null },
      });
    },
  };
}
