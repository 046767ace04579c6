import { type AuditEntry, createAuditId, type FullBackup } from '@tarfleet/db';

/** A row of the audit log of what the system itself did with a backup, on no request. */
export function systemEntry(
  action: `retention.${string}` | 'backup.create',
  backup: Pick<FullBackup, 'id' | 'projectId'>,
  requestId: string,
  details: Record<string, unknown>,
): AuditEntry {
  const at = new Date();
  return {
    ...{ id: createAuditId(at), at, action, requestId, details },
    ...{ userId: null, userEmail: null, via: 'system', tokenId: null, tokenName: null },
    ...{ method: '', route: '', ip: '', targetType: 'backup', targetId: backup.id },
    ...{ projectId: backup.projectId, status: null, errorCode: null },
    outcome: 'job_id' in details ? 'accepted' : 'succeeded',
  };
}
