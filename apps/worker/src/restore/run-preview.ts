import type { PreviewPlan, PreviewResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { PreviewOptions } from '@tarfleet/sources';
import type { Storage } from '@tarfleet/storage';
import type { Session } from '@tarfleet/transport';
import type { JobContext } from '../job-context.ts';
import { resolveFolders } from '../jobs/destination-folders.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { assertDatabasesAllowed } from './assert-databases-allowed.ts';
import { assertGuardable } from './assert-guardable.ts';
import { createFindings, type Findings } from './findings.ts';
import { type OpenArtifact, openArtifacts, verifyStored } from './open-artifacts.ts';
import { prepareOptions } from './prepare-options.ts';
import { createRunningServices } from './running-services.ts';

interface Preview {
  deps: WorkerDeps;
  context: JobContext<PreviewPlan>;
  findings: Findings;
  /** Null when the server was not reached. */
  session: Session | null;
}

/**
 * All that a restore looks at before it makes anything, and what it would change then. Nothing is written on the
 * server: no guard, no journal, no working folder. What would keep a restore from beginning is a finding, not a
 * failure: so the rest is told as well. It fails when it is cancelled, and on faults of our own.
 */
export async function runPreview(deps: WorkerDeps, context: JobContext<PreviewPlan>): Promise<PreviewResult> {
  const { plan, report, signal } = context;
  const findings = createFindings(signal);
  const session = await findings.attempt(null, () =>
    report.step('connect', `Connecting to ${plan.server.name}`, () => deps.connect(plan.server, { signal })),
  );
  const preview: Preview = { deps, context, findings, session };
  try {
    if (session) await findings.attempt(null, () => assertGuardable(session, signal));
    const services = session && (await findings.attempt(null, () => lookAtServices(preview, session)));
    const stored = await findings.attempt(null, () =>
      withStorage(deps, plan.destination, (storage) => lookAtArchives(preview, storage)),
    );
    return {
      kind: 'preview',
      problems: findings.problems,
      verified: stored?.verified ?? null,
      services,
      parts: stored?.parts ?? [],
      warnings: findings.warnings,
    };
  } finally {
    await session?.close();
  }
}

async function lookAtServices(
  { deps, context, findings }: Preview,
  session: Session,
): Promise<PreviewResult['services']> {
  const { plan, report, signal } = context;
  return report.step('services', 'Asking the services for their states', async () => {
    // Their states alone are asked for: no command that changes something is ever run, so there is no guard.
    const running = createRunningServices(plan, (service) =>
      deps.serviceOf(plan.server, { session }, service),
    );
    const states = await running.states(signal);
    for (const { service, state } of states) {
      if (state.status !== 'unknown') continue;
      findings.add(
        service.name,
        new AppError('SERVICE_STATE_UNKNOWN', `Whether ${service.name} runs cannot be told: ${state.detail}`),
      );
    }
    return states.map(({ service: { id, name }, state: { status, detail } }) => ({
      ...{ id, name, status, detail },
    }));
  });
}

async function lookAtArchives(
  preview: Preview,
  storage: Storage,
): Promise<Pick<PreviewResult, 'verified' | 'parts'>> {
  const { deps, context, findings, session } = preview;
  const { plan, report, signal } = context;
  const opened = await openArtifacts(deps, storage, plan, signal);
  const roots =
    plan.restorePath === null ? opened.flatMap(({ artifact }) => artifact.roots) : [plan.restorePath];
  await deps.assertPathsAllowed(plan.server, roots);
  await assertDatabasesAllowed(deps, plan);
  let verified: boolean | null = null;
  if (plan.verifyIntegrity) {
    const sound = await findings.attempt(null, () =>
      report.step('verify_integrity', 'Checking the stored archives', async () => {
        await verifyStored(storage, context, opened);
        return true;
      }),
    );
    verified = sound ?? false;
  }
  const parts: PreviewResult['parts'] = [];
  for (const one of opened) {
    const { id: serviceId, name: service } = one.artifact.service;
    const changes = session && (await lookAtFiles(preview, one, session));
    parts.push({ serviceId, service, ...one.opener.needs, changes });
  }
  return { verified, parts };
}

/** Both looks are taken even when the first finds that a restore would fail: no room, say. */
async function lookAtFiles(
  { deps, context, findings }: Preview,
  one: OpenArtifact,
  session: Session,
): Promise<PreviewResult['parts'][number]['changes']> {
  const { plan, report, signal } = context;
  const { artifact, opener } = one;
  const { name, type } = artifact.service;
  const source = deps.sourceOf(type, plan.server);
  const options = await findings.attempt(name, async () => {
    const destinations = await resolveFolders(session, plan.destinationFolders ?? [], signal);
    return prepareOptions(plan, one, { session, signal, warn: findings.warn }, destinations);
  });
  if (!options) return null;
  await findings.attempt(name, () =>
    report.step('preflight', `Looking at ${plan.server.name}: tools, places, space for ${name}`, () =>
      source.check(options),
    ),
  );
  const { roots } = options;
  const { entries } = opener;
  if (roots === null || entries === null) {
    findings.warn({
      code: 'NO_INDEX',
      message: `The backup of ${name} is of an older version, without an index: what changes is not known.`,
    });
    return null;
  }
  const look = async () => {
    const openTar = () => opener.open();
    const comparing: PreviewOptions = { ...options, roots, entries: await entries(), openTar };
    return source.preview(comparing);
  };
  return findings.attempt(name, () =>
    report.step('compare', `Comparing ${name} with what is on ${plan.server.name}`, look),
  );
}
