import type { VerifiedService, VerifyChecks, VerifyResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { ManifestArtifact } from '../archives/artifact-reader.ts';

export type CheckName = keyof VerifyChecks;

/** What is known of one service so far. */
export interface Finding {
  service: VerifiedService;
  objects: VerifyResult['objects'];
  damagedAncestors: string[];
}

/** More would tell nobody anything, and everything in a result travels through the queue. */
const ISSUES_MAX = 50;

export const NO_CHECKS: VerifyChecks = {
  checksum: 'skipped',
  contents: 'skipped',
  encryption: 'skipped',
  compression: 'skipped',
  metadata: 'skipped',
};

export function createFinding({ artifactId, service }: ManifestArtifact): Finding {
  const { id: serviceId, name: serviceName, component } = service;
  return {
    service: {
      ...{ artifactId, serviceId, serviceName, component, checks: { ...NO_CHECKS } },
      ...{ filesVerified: null, missingFiles: null, corruptedFiles: null, restored: 'skipped', issues: [] },
    },
    objects: [],
    damagedAncestors: [],
  };
}

/** What was looked at and is right; a fault that was found before stays. */
export function pass({ service: { checks } }: Finding, ...names: CheckName[]): void {
  for (const name of names) if (checks[name] === 'skipped') checks[name] = 'passed';
}

export function fail(finding: Finding, name: CheckName, message: string): void {
  const { checks, issues } = finding.service;
  checks[name] = 'failed';
  if (issues.length < ISSUES_MAX) issues.push(message);
  else if (issues.length === ISSUES_MAX) issues.push('There are more faults, which are not listed.');
}

/** What the action finds is told before what was found already. */
export async function foundFirst<T>({ service }: Finding, action: () => Promise<T>): Promise<T> {
  const before = service.issues.splice(0);
  try {
    return await action();
  } finally {
    service.issues.push(...before);
  }
}

/** A check that a fault belongs to as well, besides the one that tells of it. */
export function mark({ service: { checks } }: Finding, name: CheckName): void {
  checks[name] = 'failed';
}

/** Of several services: failed where one failed, skipped where none was looked at. */
export function sumUp(all: readonly VerifyChecks[]): VerifyChecks {
  const of = (name: CheckName): VerifyChecks[CheckName] => {
    if (all.some((checks) => checks[name] === 'failed')) return 'failed';
    return all.some((checks) => checks[name] === 'passed') ? 'passed' : 'skipped';
  };
  return {
    checksum: of('checksum'),
    contents: of('contents'),
    encryption: of('encryption'),
    compression: of('compression'),
    metadata: of('metadata'),
  };
}

/** Whether an error says that what is stored is not right. All else, a destination that is away or a missing key, says nothing of it. */
export function isDamage(error: unknown): error is AppError {
  return (
    error instanceof AppError &&
    (error.code === 'BACKUP_CORRUPTED' ||
      error.code === 'OBJECT_NOT_FOUND' ||
      error.code === 'ARCHIVE_MALFORMED')
  );
}

/** What the action gives, or undefined when what is stored is at fault, which is then noted. */
export async function noting<T>(
  finding: Finding,
  name: CheckName,
  action: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!isDamage(error)) throw error;
    fail(finding, name, error.message);
    return undefined;
  }
}
