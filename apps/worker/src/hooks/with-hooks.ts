import { type ArtifactPlan, CommandWithLimit, createParser } from '@tarfleet/contracts';
import { AppError, timeLimit } from '@tarfleet/kernel';
import { type CommandEnd, endOf, runLimited } from '@tarfleet/services';
import type { Session } from '@tarfleet/transport';
import type { JobContext } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { NOT_OWED, OWE_SCRIPT, OWED_SCRIPT, RUN_SCRIPT } from './hook-scripts.ts';

type Deps = Pick<WorkerDeps, 'connect'>;
type Context = Pick<JobContext<ArtifactPlan>, 'plan' | 'delivery' | 'report' | 'signal' | 'log'>;

/** Beside the command's own time: to connect, and to wait for one that an earlier attempt left running. */
const SPARE_SECONDS = 60;
const parseCommand = createParser(CommandWithLimit);

/**
 * Runs a backup between the commands that its service has for that. The second runs whenever the first was begun: also
 * when that or the backup fails or is cancelled; when the worker dies, by the next attempt or the next backup of the
 * service, before anything else. COMMAND_FAILED when the first fails: then nothing is backed up. A failure of the second
 * is a warning (HOOK_FAILED).
 */
export async function withHooks<T>(deps: Deps, context: Context, action: () => Promise<T>): Promise<T> {
  const { service } = context.plan;
  const { before = null, after = null } = service.hooks ?? {};
  if (before === null && after === null) return action();
  const attempt = `${context.delivery.attempt}-${context.delivery.token}`;
  await withSession(deps, context, context.signal, async (session) => {
    await payOwed(session, context);
    if (after) await owe(session, context, attempt, after);
  });
  let result: T;
  try {
    if (before) {
      await context.report.step(
        'before_hook',
        `Running the command before the backup of ${service.name}`,
        () => withSession(deps, context, context.signal, (session) => runBefore(session, context, before)),
      );
    }
    result = await action();
  } catch (error) {
    // Whoever goes on has found what is owed, and the service may stand still for him.
    if (!isSuperseded(context.signal.reason ?? error)) await pay(deps, context, attempt, after);
    throw error;
  }
  await pay(deps, context, attempt, after);
  return result;
}

async function runBefore(
  session: Session,
  { plan, signal }: Context,
  command: CommandWithLimit,
): Promise<void> {
  const end = await run(session, signal, plan.service.id, '', command);
  if (end.code === 0) return;
  throw new AppError(
    'COMMAND_FAILED',
    `The command before the backup of ${plan.service.name} ${endOf(end)}. Nothing was backed up.`,
  );
}

/** What an attempt that is gone did not come to. */
async function payOwed(session: Session, { plan, report, signal }: Context): Promise<void> {
  const { id, name } = plan.service;
  const found = await session.run(['sh', '-c', OWED_SCRIPT, 'sh', id], { signal });
  const text = found.stdout.toString();
  if (found.code !== 0 || text === '') return;
  const [attempt = '', ...rest] = text.split('\n');
  const parsed = parseCommand(tryJson(rest.join('\n')));
  if (!parsed.ok) return;
  await report.step(
    'owed_hook',
    `Running the command after an earlier backup of ${name}, which was broken off`,
    async () => {
      const end = await run(session, signal, id, attempt, parsed.value);
      if (end.code !== 0 && end.code !== NOT_OWED) report.warn(failed(name, end));
    },
  );
}

async function owe(
  session: Session,
  { plan, signal }: Context,
  attempt: string,
  command: CommandWithLimit,
): Promise<void> {
  const input = Buffer.from(`${JSON.stringify(command)}\n`);
  const argv = ['sh', '-c', OWE_SCRIPT, 'sh', plan.service.id, attempt];
  const written = await session.run(argv, { signal, input });
  if (written.code === 0) return;
  throw new AppError(
    'COMMAND_FAILED',
    `The command that is to run after the backup of ${plan.service.name} cannot be noted on the server (in /var/lib/tarfleet, or in .tarfleet in the user's home): ${written.stderr.toString().trim().slice(-300)}`,
  );
}

/** On a connection of its own and however the job's signal stands. What cannot be done now stays owed. */
async function pay(
  deps: Deps,
  context: Context,
  attempt: string,
  command: CommandWithLimit | null,
): Promise<void> {
  if (command === null) return;
  const { plan, report, log } = context;
  const { id, name } = plan.service;
  const signal = timeLimit((command.seconds + SPARE_SECONDS) * 1000);
  try {
    await report.step('after_hook', `Running the command after the backup of ${name}`, () =>
      withSession(deps, context, signal, async (session) => {
        const end = await run(session, signal, id, attempt, command);
        if (end.code !== 0 && end.code !== NOT_OWED) report.warn(failed(name, end));
      }),
    );
  } catch (error) {
    log.error({ err: error }, 'hook not run');
    const why = error instanceof AppError ? error.message : 'an unexpected fault';
    report.warn({
      code: 'HOOK_OWED',
      message: `The command after the backup of ${name} could not be run (${why}). The next backup of ${name} runs it first; until then its server may stand still.`,
    });
  }
}

function run(
  session: Session,
  signal: AbortSignal,
  serviceId: string,
  attempt: string,
  { argv, seconds }: CommandWithLimit,
): Promise<CommandEnd> {
  const words = [serviceId, attempt, String(Math.ceil(seconds)), ...argv];
  return runLimited(['sh', '-c', RUN_SCRIPT, 'sh', ...words], { session, signal, seconds });
}

function failed(name: string, end: CommandEnd): { code: string; message: string } {
  return {
    code: 'HOOK_FAILED',
    message: `The command after the backup of ${name} ${endOf(end)}. The backup itself is not touched by that; look whether the service goes on.`,
  };
}

async function withSession<T>(
  deps: Deps,
  { plan }: Context,
  signal: AbortSignal,
  action: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await deps.connect(plan.server, { signal });
  try {
    return await action(session);
  } finally {
    await session.close();
  }
}

function isSuperseded(error: unknown): boolean {
  return error instanceof AppError && error.code === 'ATTEMPT_SUPERSEDED';
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is no command: the caller does nothing about it.
    return null;
  }
}
