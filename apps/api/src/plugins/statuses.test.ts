import { expect, test } from '@jest/globals';
import { ERROR_CODES } from '@tarfleet/contracts';
import { STATUSES } from './statuses.ts';

test('every error code has a status, and no other has one', () => {
  expect(Object.keys(STATUSES).sort()).toEqual([...ERROR_CODES].sort());
  for (const rule of Object.values(STATUSES)) {
    expect(rule.status).toBeGreaterThanOrEqual(400);
    expect(rule.status).toBeLessThan(600);
  }
});

test('the documented statuses are those of the contract', () => {
  const expected = {
    BACKUP_NOT_FOUND: 404,
    COMPONENT_NOT_FOUND: 404,
    INVALID_BACKUP_TYPE: 400,
    VALIDATION_FAILED: 400,
    BACKUP_IN_PROGRESS: 409,
    RESTORE_IN_PROGRESS: 409,
    BACKUP_INCOMPLETE: 409,
    RETENTION_POLICY_VIOLATION: 409,
    BACKUP_CORRUPTED: 422,
    BACKUP_VERIFICATION_FAILED: 422,
    ENCRYPTION_KEY_NOT_FOUND: 422,
    INSUFFICIENT_PERMISSIONS: 403,
    INSUFFICIENT_STORAGE: 507,
    STORAGE_FULL: 507,
    RESTORE_FAILED: 500,
  } as const;
  for (const [code, status] of Object.entries(expected)) {
    expect([code, STATUSES[code as keyof typeof expected].status]).toEqual([code, status]);
  }
});
