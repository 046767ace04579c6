import type { RedisTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { aboutDump } from '../about.ts';
import type { DatabaseCapture } from '../database-capture.ts';
import type { Dump } from '../dump-tar.ts';
import { runTool, startTool, type ToolCall, toolOutput } from '../run-tool.ts';

const DUMP_NAME = 'dump.rdb';
/** How many bytes mark the end where redis does not say the length before; redis-cli leaves them at the end of its output. */
const MARK_BYTES = 40;
/** What an RDB file ends with: its last opcode, and a checksum of eight bytes. */
const END_BYTES = 9;
const END_OPCODE = 0xff;

/** What the server itself would write to disk, by redis-cli, which asks for it as a replica does. */
export async function captureRedis(
  place: { session: Session; signal: AbortSignal },
  target: RedisTarget,
  password: string | null,
): Promise<DatabaseCapture> {
  const call = (args: readonly string[]): ToolCall => redisCall(place, target, password, args);
  const info = await runTool(call(['INFO']));
  const version = /^redis_version:(\S+)/m.exec(info)?.[1];
  if (version === undefined) {
    throw new AppError('COMMAND_FAILED', `redis-cli failed on the server: ${info.trim().slice(0, 300)}`);
  }
  const records = [...info.matchAll(/^db\d+:keys=(\d+),/gm)].reduce((sum, [, keys]) => sum + Number(keys), 0);

  const dump: Dump = {
    name: DUMP_NAME,
    async *bytes() {
      let told: number | null = null;
      const tool = await startTool({
        ...call(['--rdb', '-']),
        onLine(line) {
          const match = /Transfer finished with success(?: after (\d+) bytes)?/.exec(line);
          if (match?.[1]) told = Number(match[1]);
        },
      });
      tool.stdin.end();
      yield* withoutMark(toolOutput(tool), () => told);
    },
  };
  async function* dumps(): AsyncGenerator<Dump> {
    yield aboutDump({ v: 1, type: 'redis', version, owner: '0:0', mode: '600' });
    yield dump;
  }
  return {
    dumps: dumps(),
    bytes: Number(/^used_memory_dataset:(\d+)/m.exec(info)?.[1] ?? 0),
    facts: () => ({ method: 'redis_rdb', serverVersion: version, databases: [], tables: null, records }),
  };
}

/** redis-cli with its connection and password. */
export function redisCall(
  { session, signal }: { session: Session; signal: AbortSignal },
  target: RedisTarget,
  password: string | null,
  args: readonly string[],
): ToolCall {
  return {
    ...{ session, signal, where: target, package: 'redis-tools', program: 'redis-cli' },
    args: [...connectionOf(target), ...args],
    secret: password === null ? null : { how: 'env:REDISCLI_AUTH', content: password, password },
  };
}

function connectionOf({ host, port, user }: RedisTarget): string[] {
  return [
    '--no-auth-warning',
    ...(host === null ? [] : host.startsWith('/') ? ['-s', host] : ['-h', host]),
    ...(port === null ? [] : ['-p', String(port)]),
    ...(user === null ? [] : ['--user', user]),
  ];
}

/** Cuts the mark, and looks whether what is left is a whole RDB file. `told`: its length, once all of it has passed. */
async function* withoutMark(
  output: AsyncIterable<Buffer>,
  told: () => number | null,
): AsyncGenerator<Buffer> {
  const held = MARK_BYTES + END_BYTES;
  let kept: Buffer = Buffer.alloc(0);
  let given = 0;
  for await (const chunk of output) {
    if (
      given === 0 &&
      kept.length === 0 &&
      chunk.subarray(0, 5).toString() !== 'REDIS'.slice(0, chunk.length)
    ) {
      throw new AppError('COMMAND_FAILED', 'What redis-cli printed is no RDB file.');
    }
    const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    const now = Math.max(0, bytes.length - held);
    if (now > 0) yield bytes.subarray(0, now);
    given += now;
    kept = bytes.subarray(now);
  }
  const length = told();
  const size = given + kept.length;
  const end = length === size ? kept : kept.subarray(0, -MARK_BYTES);
  const isWhole = length === null || length === given + end.length;
  if (!isWhole || end[end.length - END_BYTES] !== END_OPCODE) {
    throw new AppError('COMMAND_FAILED', 'The RDB file did not arrive whole.', { retryable: true });
  }
  yield end;
}
