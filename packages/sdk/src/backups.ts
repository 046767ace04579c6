import { type BackupList, createBackupList, type ListOptions } from './backup-list.ts';
import { followJob, type WaitOptions } from './follow-job.ts';
import type { CallOptions, Http } from './http.ts';
import { newKey } from './new-key.ts';
import { type ErrorCode, TarfleetError } from './tarfleet-error.ts';
import type {
  Backup,
  BackupCreated,
  BackupDeleted,
  BackupDetails,
  BackupRestored,
  BackupShown,
  BackupVerified,
  DeleteOptions,
  Deletion,
  Job,
  NewBackup,
  Restore,
  RestoreBody,
  RestoreOptions,
  Verification,
  VerifyBody,
  VerifyOptions,
} from './types.ts';

/** What starts something may be given a key: the same key starts it once, from whichever process it is sent. */
export interface StartOptions extends CallOptions {
  idempotencyKey?: string;
}

/** Everything rejects with TarfleetError, or with the reason of its own signal. */
export interface Backups {
  /** Starts a backup of the client's project; it is `creating` then, and `wait` tells when it is not any more. */
  create(backup: NewBackup, options?: StartOptions): Promise<Backup>;
  list(options?: ListOptions): BackupList;
  get(id: string, options?: CallOptions): Promise<BackupDetails>;
  /** Starts a restore; the first object says what, the second how to ask. */
  restore(id: string, restore?: RestoreOptions, options?: StartOptions): Promise<Restore>;
  /** Starts a verification; the job's `result.valid` tells what came of it. */
  verify(id: string, verify?: VerifyOptions, options?: StartOptions): Promise<Verification>;
  delete(id: string, deletion?: DeleteOptions, options?: CallOptions): Promise<Deletion>;
  /** The backup when it has been made, all of it or (`partial`) what could be. */
  wait(backup: string | Pick<Backup, 'id'>, options?: WaitOptions): Promise<BackupDetails>;
  /** The job of a restore, verification or deletion when it has succeeded. */
  wait(started: { jobId: string }, options?: WaitOptions): Promise<Job>;
}

export function createBackups(http: Http, projectId: number): Backups {
  const pathOf = (id: string): string => `/api/backups/${encodeURIComponent(id)}`;
  const start = <T>(path: string, body: unknown, { idempotencyKey = newKey(), ...call }: StartOptions) =>
    http.json<T>({ ...call, method: 'POST', path, body, idempotencyKey });
  const get: Backups['get'] = async (id, options = {}) => {
    const {
      success: _success,
      data,
      ...backup
    } = await http.json<BackupShown>({
      ...{ ...options, method: 'GET', path: pathOf(id) },
    });
    return { ...backup, details: data };
  };

  async function wait(backup: string | Pick<Backup, 'id'>, options?: WaitOptions): Promise<BackupDetails>;
  async function wait(started: { jobId: string }, options?: WaitOptions): Promise<Job>;
  async function wait(what: string | { id: string } | { jobId: string }, options: WaitOptions = {}) {
    const jobId = typeof what === 'string' ? what : 'jobId' in what ? what.jobId : what.id;
    const job = assertSucceeded(await followJob(http, jobId, options));
    return typeof what === 'object' && 'jobId' in what ? job : get(jobId, callOf(options));
  }

  return {
    async create(backup, options = {}) {
      try {
        const { data } = await start<BackupCreated>(`/api/projects/${projectId}/backups`, backup, options);
        return data;
      } catch (error) {
        // The job of a backup has its id.
        const { details: _details, ...made } = await get(startedBefore(error), options);
        return made;
      }
    },
    list: (options = {}) => createBackupList(http, projectId, options),
    get,
    async restore(id, { targetProjectId, targetServerId, ...rest } = {}, options = {}) {
      const body: RestoreBody = {
        ...rest,
        ...(targetProjectId === undefined ? {} : { target_project_id: targetProjectId }),
        ...(targetServerId === undefined ? {} : { target_server_id: targetServerId }),
      };
      const answer = await start<BackupRestored>(`${pathOf(id)}/restore`, body, options);
      const { data, message, target_project_id } = answer;
      return { ...data, message, target_project_id, jobId: data.restoreJobId };
    },
    async verify(id, { deepVerification, testRestore, components } = {}, options = {}) {
      const body: VerifyBody = {
        ...(deepVerification === undefined ? {} : { deep_verification: deepVerification }),
        ...(testRestore === undefined ? {} : { test_restore: testRestore }),
        ...(components === undefined ? {} : { components }),
      };
      const { data, message } = await start<BackupVerified>(`${pathOf(id)}/verify`, body, options);
      return { ...data, message, jobId: data.verifyJobId };
    },
    async delete(id, { force, reason } = {}, options = {}) {
      const { data, message } = await http.json<BackupDeleted>({
        ...{ ...options, method: 'DELETE', path: pathOf(id), query: { force, reason } },
      });
      return { ...data, message, jobId: data.job_id };
    },
    wait,
  };
}

/** The job that an earlier try had started, whose answer was lost and will not come; any other error is thrown. */
function startedBefore(error: unknown): string {
  if (error instanceof TarfleetError && error.code === 'IDEMPOTENCY_KEY_IN_USE' && error.jobId)
    return error.jobId;
  throw error;
}

function assertSucceeded(job: Job): Job {
  if (job.state === 'completed' || job.state === 'partial') return job;
  const { code = job.state === 'cancelled' ? 'CANCELLED' : 'INTERNAL', message } = job.failure ?? {};
  throw new TarfleetError({
    code: code as ErrorCode,
    message: message ?? `The job is ${job.state}.`,
    details: { job_id: job.id, state: job.state, result: job.result },
    requestId: job.request_id,
  });
}

function callOf({ signal }: WaitOptions): CallOptions {
  return signal ? { signal } : {};
}
