/** A lock on a backup: nobody deletes it until `lockUntil`, or at all when that is null. All null when there is none. */
export interface BackupLock {
  lockedAt: Date | null;
  /** E-mail of whoever locked it, as it was then. */
  lockedBy: string | null;
  lockReason: string | null;
  lockUntil: Date | null;
}
