import { cleaning } from '../../../cleaning.ts';
import type { PreparedRestore, PrepareOptions, SourceWarning } from '../../../types.ts';
import { createWarningLimiter } from '../../warnings.ts';
import { countStaged } from '../count-staged.ts';
import { extract } from '../extract.ts';
import { makeStage, plannedStage, removeStage, type Stage } from '../stage.ts';
import { checkPlaces } from './apply.ts';
import { leaveOutDestinations } from './destinations.ts';
import { assertNotBegun, furnish, sortStaged, writeInStage } from './furnish.ts';
import { encode, joinPath, type PreparedState, type StageState } from './prepared-state.ts';
import { type Surveyed, survey } from './survey.ts';
import { below } from './survivors.ts';

const JOB_ID = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}$/;

/** Unpacks everything beside its targets; see `RestoreSteps`. What it made is gone again when it fails. */
export async function prepare(options: PrepareOptions): Promise<PreparedRestore> {
  const { session, signal, jobId, service } = options;
  if (!JOB_ID.test(jobId)) throw new TypeError('A restore needs a job id of [A-Za-z0-9._-].');
  const limiter = createWarningLimiter(options.warn);
  const warn = onceFor('OWNER_NOT_RESTORED', limiter.warn);
  const made: Stage[] = [];
  try {
    const { tarOptions, surveyed } = await survey({ ...options, warn });
    const state: PreparedState = { kind: 'files', exclude: [...service.exclude], tarOptions, stages: [] };
    const planned = surveyed.map((one) => ({ one, stage: plannedStage(one.group, jobId) }));
    for (const { stage } of planned) await assertNotBegun(session, stage, signal);
    const claimed = planned.map(({ stage: { base, name, token } }) => ({ base: encode(base), name, token }));
    const all = planned.map(({ stage }) => stage);
    await options.claim?.({ v: 1, folders: foldersOf(all), state: { ...state, claimed } });
    for (const { one, stage } of planned) {
      // By its name alone until it tells more of itself: it may be there even if nobody hears that it was made.
      made.push(stage);
      stage.identity = await makeStage(session, stage, signal);
      state.stages.push(await unpack({ ...options, warn }, one, stage, tarOptions));
    }
    await checkPlaces({ session, signal, warn }, state);
    return { v: 1, folders: foldersOf(made), state };
  } catch (error) {
    for (const stage of made) {
      // The fault is told; a folder that is left is removed by the next attempt.
      await removeStage(session, stage, cleaning({ signal }).signal).catch(() => undefined);
    }
    throw error;
  } finally {
    limiter.close();
  }
}

function foldersOf(stages: readonly Stage[]): string[] {
  return stages.map(({ base, name }) => joinPath(base, Buffer.from(name)).toString());
}

async function unpack(
  options: PrepareOptions,
  { group, roots }: Surveyed,
  stage: Stage,
  tarOptions: readonly string[],
): Promise<StageState> {
  const { session, signal, destinations = [] } = options;
  const keep = [...options.keep, ...destinations.map(({ path }) => path)];
  await furnish(session, stage, signal);
  await extract({
    ...{ session, stage, signal, tarOptions, roots: group.roots, extras: options.extras },
    ...{ openTar: options.openTar, warn: options.warn, onEntry: options.onEntry },
  });
  const states = roots.map(({ root, mode }) => ({
    mode,
    source: root.member === null ? '' : encode(Buffer.concat([Buffer.from('/'), root.staged])),
    staged: encode(root.staged),
    anchor: encode(root.anchor),
    rest: encode(root.rest),
    inner: root.inner.map(encode),
  }));
  const identities = await sortStaged(session, stage, states, signal);
  await leaveOutDestinations(options, stage, states);
  const { name, token, identity } = stage;
  const { files, bytes } = await countStaged(session, stage, signal);
  const state: StageState = {
    ...{ base: encode(stage.base), name, identity, token, files, bytes },
    roots: states.map((root, at) => ({ ...root, fresh: identities[at] ?? '' })),
  };
  for (const [at, { root, mode }] of roots.entries()) {
    if (mode !== 'swap' && mode !== 'in-place') continue;
    // They may be named by the path that was backed up, or by where that leads.
    const place = joinPath(root.anchor, root.rest);
    const wanted = [...below(place, keep), ...below(root.target, keep)];
    if (wanted.length === 0) continue;
    const list = Buffer.concat(wanted.flatMap((path) => [path, Buffer.from([0])]));
    await writeInStage(session, stage, `wanted/${at}`, list, signal);
  }
  return state;
}

function onceFor(code: string, warn: (warning: SourceWarning) => void): (warning: SourceWarning) => void {
  let told = false;
  return (warning) => {
    if (warning.code === code && told) return;
    told ||= warning.code === code;
    warn(warning);
  };
}
