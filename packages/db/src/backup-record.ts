import type { ErrorCode, Notification, RecordsSummary } from '@tarfleet/contracts';
import type { ArtifactRecord } from './artifacts.ts';
import type { BackupLock } from './backup-lock.ts';
import type { CopyRecord } from './copies.ts';

export type BackupStatus =
  | 'in_progress'
  | 'completed'
  | 'partial'
  | 'failed'
  | 'cancelled'
  | 'deleting'
  /** Deleted for its users; its objects stay for the backups that need them. */
  | 'hidden'
  | 'deleted';
export type BackupOutcome = 'completed' | 'partial' | 'failed' | 'cancelled';

/** Why a backup was made that neither a request nor a schedule asked for by itself. */
export type BackupOccasion = 'emergency' | 'startup';

/** Sizes in bytes. */
export interface BackupRecord extends BackupLock {
  id: string;
  projectId: number;
  createdBy: string | null;
  /** The schedule that made it; it may be gone. */
  scheduleId: string | null;
  name: string | null;
  description: string | null;
  type: string;
  /** Made by a schedule, or by a program that says so. */
  automatic: boolean;
  dialect: string;
  /** Whether its request named components or services, and did not take all that there is. */
  chosen: boolean;
  occasion: BackupOccasion | null;
  /** `partial` with the outcome `completed`: all of it was captured, and a copy has failed. */
  status: BackupStatus;
  /** How it ended, also when it has been deleted since; null while it runs. */
  outcome: BackupOutcome | null;
  destinationId: string | null;
  keyPrefix: string;
  manifestKey: string | null;
  manifestSha256: string | null;
  sizeBytes: number | null;
  contentBytes: number | null;
  filesCount: number | null;
  directoriesCount: number | null;
  encrypted: boolean;
  /** Names of the keyring's keys that its archives' own keys are wrapped with; while they change, of old and new. */
  encryptionKeys: string[];
  compressed: boolean;
  compressionLevel: number | null;
  deduplicated: boolean;
  verifyRequested: boolean;
  verified: boolean | null;
  verifiedAt: Date | null;
  retentionDays: number | null;
  retentionUntil: Date | null;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  warnings: string[];
  /** What it holds of the project's own records; null: nothing, as it is not of a whole project. */
  records: RecordsSummary | null;
  /** Who is to be told of its end, beside the project's webhooks. */
  notification: Notification | null;
  restoreCount: number;
  lastRestoredAt: Date | null;
  createdAt: Date;
  startedAt: Date | null;
  completedAt: Date | null;
  deletedAt: Date | null;
  /** Which are its older and newer ones, with project and destination; null for none. */
  series: string | null;
}

export interface FullBackup extends BackupRecord {
  /** Of its services. */
  artifacts: ArtifactRecord[];
  /** Of the project's own records. */
  recordsArtifact: ArtifactRecord | null;
  /** Its further destinations. */
  copies: CopyRecord[];
  /** E-mail of whoever made it. */
  creator: string | null;
  destination: { id: string; name: string; type: string; config: unknown } | null;
}
