import type { PreviewPlan, PreviewResult } from '@tarfleet/contracts';
import type { ArtifactRecord, Database, FullBackup, Lease, ServiceRecord } from '@tarfleet/db';
import type { PlannedPreview } from '../../planner/preview.ts';
import type { RestoreSubject } from '../../planner/resolve-restore.ts';
import { estimateDowntime, estimateDuration, type Past } from './estimate.ts';
import type { PreviewData } from './preview-schemas.ts';

const PAST_RESTORES = 10;
const UNKNOWN =
  'No worker has looked at the server in time: what would be created, overwritten and deleted, the states of the services and whether a restore would begin are not known.';

/** What the database knows of the services of a backup and of work on them. */
export interface Known extends Past {
  services: ServiceRecord[];
  /** Of all that each artifact gives back, by its id. */
  sizes: Map<string, { bytes: number; files: number }>;
  /** What else works on services that a restore would need. */
  busy: Pick<Lease, 'kind' | 'jobId'>[];
}

export async function readKnown(
  db: Pick<Database, 'restores' | 'services' | 'jobs' | 'leases'>,
  backup: FullBackup,
  { plan, artifacts, needed }: PlannedPreview,
): Promise<Known> {
  const serverIds = [...new Set(artifacts.map(({ serverId }) => serverId))];
  const [services, restores, sizes, busy] = await Promise.all([
    Promise.all(serverIds.map((serverId) => db.services.find({ serverId }))),
    db.restores.pastOf(plan.serviceIds, PAST_RESTORES),
    readSizes(db, backup.id),
    db.leases.held(needed),
  ]);
  return { services: services.flat(), restores, artifacts, sizes, busy };
}

/** Seconds that a restore of these whole artifacts takes; null where nothing tells. */
export async function estimateRestore(
  db: Pick<Database, 'restores' | 'jobs'>,
  backup: FullBackup,
  artifacts: ArtifactRecord[],
): Promise<number | null> {
  const serviceIds = artifacts.map(({ serviceId }) => serviceId);
  const restores = await db.restores.pastOf(serviceIds, PAST_RESTORES);
  const sizes = await readSizes(db, backup.id);
  const bytes = sum(artifacts.map(({ id }) => sizes.get(id)?.bytes ?? null));
  return estimateDuration(bytes, { restores, artifacts });
}

async function readSizes(db: Pick<Database, 'jobs'>, backupId: string): Promise<Known['sizes']> {
  const job = await db.jobs.get(backupId);
  const results = job?.result?.kind === 'backup' ? job.result.artifacts : [];
  const sizes = results.map(
    ({ artifactId, index, contentBytes, files }) =>
      [artifactId, { bytes: index?.contentBytes ?? contentBytes, files: index?.files ?? files }] as const,
  );
  return new Map(sizes);
}

/** Document 1's preview, with what a worker found; without a worker that is null. */
export function viewPreview({
  subject: { backup, services: chosen },
  planned: { plan, artifacts },
  asks,
  result,
  known,
  warnings,
}: {
  subject: Pick<RestoreSubject, 'backup' | 'services'>;
  planned: PlannedPreview;
  /** Whether a worker was asked. */
  asks: boolean;
  result: PreviewResult | null;
  known: Known;
  warnings: readonly string[];
}): PreviewData {
  const services = artifacts.map((artifact) => viewService(artifact, plan, result, known));
  const bytes = sum(services.map(({ bytesToRestore }) => bytesToRestore));
  const { stopOrder, startOrder } = ordersOf(plan, result);
  const servers = [...new Set(artifacts.map(({ serverName }) => serverName))];
  return {
    backup: {
      id: backup.id,
      backupType: backup.type,
      createdAt: backup.createdAt.toISOString(),
      fileSize: backup.sizeBytes ?? 0,
      serverName: servers.join(', '),
    },
    restoreType: chosen === null ? 'full' : 'selective',
    services,
    servicesCount: services.length,
    estimatedDuration: estimateDuration(bytes, known),
    estimatedDowntime: estimateDowntime(stopOrder.length > 0, known),
    filesToRestore: sum(services.map(({ filesToRestore }) => filesToRestore)),
    bytesToRestore: bytes,
    target: {
      serverId: plan.server.id,
      serverName: plan.server.name,
      paths: plan.paths,
      restorePath: plan.restorePath,
      overwrite: plan.overwrite,
    },
    affectedServices: plan.services.map(({ id, name }) => {
      const found = result?.services?.find((one) => one.id === id);
      return { id, name, status: found?.status ?? null, detail: found?.detail ?? null };
    }),
    ...{ stopOrder, startOrder },
    canRestore: result && result.problems.length === 0,
    integrityVerified: result?.verified ?? null,
    problems:
      result?.problems.map(({ service, failure: { code, message } }) => ({ service, code, message })) ?? null,
    warnings: [...warnings, ...busyOf(known), ...(result ? result.warnings : [UNKNOWN])],
    previewJobId: asks ? plan.jobId : null,
  };
}

/** As it was backed up: its paths may have been changed since, and it may be gone. */
function viewService(
  artifact: ArtifactRecord,
  plan: PreviewPlan,
  result: PreviewResult | null,
  { services, sizes }: Known,
): PreviewData['services'][number] {
  const { serviceId: id, serviceName: name, paths } = artifact;
  const service = services.find((one) => one.id === id);
  const part = result?.parts.find(({ serviceId }) => serviceId === id);
  const isConfig = (path: string): boolean => service?.configPaths.includes(path) ?? false;
  const size = part ?? (plan.paths === null ? sizes.get(artifact.id) : holdsNone(result));
  const type = service?.type ?? 'files';
  const state = result?.services?.find((one) => one.id === id)?.status;
  return {
    ...{ id, name, type },
    status: state ?? (type === 'files' ? 'none' : null),
    configPaths: paths.filter(isConfig),
    dataPaths: paths.filter((path) => !isConfig(path)),
    backupPriority: service?.backupPriority ?? 0,
    filesToRestore: size?.files ?? null,
    bytesToRestore: size?.bytes ?? null,
    changes: part?.changes ?? null,
  };
}

function busyOf({ busy }: Known): string[] {
  const jobs = new Map(busy.map(({ kind, jobId }) => [jobId, kind]));
  return [...jobs].map(
    ([jobId, kind]) =>
      `A ${kind} of the same services is running (job ${jobId}): a restore is refused until it has ended.`,
  );
}

/** Where a worker has found the paths that are wanted, they are in the services that it names, and in no others. */
function holdsNone(result: PreviewResult | null): { bytes: number; files: number } | undefined {
  return result && result.parts.length > 0 ? { bytes: 0, files: 0 } : undefined;
}

/** Only what runs is stopped, and started again. */
function ordersOf(plan: PreviewPlan, result: PreviewResult | null) {
  const states = result?.services;
  const namesOf = (waves: readonly (readonly string[])[]): string[][] =>
    waves
      .map((wave) =>
        plan.services.flatMap(({ id, name, runner }) => {
          if (!wave.includes(id) || runner.kind === 'none') return [];
          const status = states?.find((one) => one.id === id)?.status;
          return status === 'stopped' || status === 'failed' ? [] : [name];
        }),
      )
      .filter((wave) => wave.length > 0);
  return { stopOrder: namesOf(plan.stopOrder), startOrder: namesOf(plan.startOrder) };
}

/** Null when one of them is not known. */
function sum(values: readonly (number | null)[]): number | null {
  return values.reduce((total, value) => (total === null || value === null ? null : total + value), 0);
}
