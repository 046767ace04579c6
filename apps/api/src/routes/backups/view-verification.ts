import type { ResultOf } from '@tarfleet/contracts';
import type { VerificationAnswer } from './verify-schemas.ts';

type Result = ResultOf<'verify'>;
type Data = VerificationAnswer['data'];
type Component = Data['components_verified'][string];

/** What a verification found, in document 2's words. */
export function viewVerification(
  result: Result,
): Pick<
  Data,
  | 'verification_status'
  | 'verified_at'
  | 'checks_performed'
  | 'components_verified'
  | 'issues'
  | 'recommendations'
> {
  const { checks, valid, services, lacking } = result;
  const names = [...new Set(services.map(({ component }) => component))].sort();
  return {
    verification_status: valid ? 'passed' : 'failed',
    verified_at: result.verifiedAt,
    checks_performed: {
      checksum_validation: checks.checksum,
      file_integrity: checks.contents,
      encryption_validation: checks.encryption,
      compression_validation: checks.compression,
      metadata_validation: checks.metadata,
      component_completeness: isComplete(result) && lacking.length === 0 ? 'passed' : 'failed',
    },
    components_verified: Object.fromEntries(names.map((name) => [name, viewComponent(result, name)])),
    issues: result.issues,
    recommendations: recommend(result),
  };
}

/** Whether all that the backup should hold of what was looked at is there; whether it is right is for the other checks. */
function isComplete({ services, objects }: Result): boolean {
  return (
    services.length > 0 &&
    objects.every(({ status }) => status !== 'missing') &&
    services.every(({ missingFiles }) => (missingFiles ?? 0) === 0)
  );
}

function viewComponent({ services, objects }: Result, name: string): Component {
  const own = services.filter(({ component }) => component === name);
  const stored = objects.filter(({ component }) => component === name);
  const passed = stored.filter(({ status }) => status === 'passed');
  const sum = (of: (service: Result['services'][number]) => number | null): number =>
    own.reduce((total, service) => total + (of(service) ?? 0), 0);
  const looked = own.some(({ filesVerified }) => filesVerified !== null);
  return {
    status: own.every(({ issues }) => issues.length === 0) ? 'passed' : 'failed',
    size_verified: passed.reduce((total, { bytes }) => total + bytes, 0),
    checksum_match: own.every(({ checks }) => checks.checksum === 'passed'),
    ...(looked
      ? {
          files_verified: sum((one) => one.filesVerified),
          missing_files: sum((one) => one.missingFiles),
          corrupted_files: sum((one) => one.corruptedFiles),
        }
      : {}),
  };
}

function recommend({ valid, level, narrowed, lacking, damagedAncestors }: Result): string[] {
  const said: string[] = [];
  if (!valid) {
    said.push('Make a new full backup now, and restore from another backup until it is there.');
    if (damagedAncestors.length > 0)
      said.push(
        `Verify the other backups that build on ${damagedAncestors.join(', ')}: they may be damaged too.`,
      );
  } else if (level === 'quick') {
    said.push(
      'What is stored is what was written. Send deep_verification to have every file in it read and compared as well.',
    );
  } else said.push('Backup is healthy and can be used for restore operations');
  if (narrowed) said.push('Only the components that were asked for were looked at.');
  if (lacking.length > 0)
    said.push(`The backup is partial: it does not hold ${lacking.join(', ')}. Make another that does.`);
  return said;
}
