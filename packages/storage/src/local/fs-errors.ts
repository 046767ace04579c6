import { AppError, errnoOf } from '@tarfleet/kernel';

export interface FsContext {
  /** The destination's folder, for messages. */
  root: string;
  /** Whether the call was to change something. */
  writing: boolean;
}

/** A fault of the file system as an AppError. What already is one, and what is no system error, stays as it is. */
export function translateFsError(error: unknown, { root, writing }: FsContext): unknown {
  const errno = errnoOf(error);
  if (error instanceof AppError || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  const options = { cause: error };
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError(
        'STORAGE_FULL',
        `The destination folder ${root} is full (${errno}). Free space there, or choose another destination.`,
        options,
      );
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return writing
        ? new AppError(
            'DESTINATION_READ_ONLY',
            `The destination folder ${root} cannot be written (${errno}). Mount it writable, or give it to the user that runs Tarfleet.`,
            options,
          )
        : new AppError(
            'DESTINATION_AUTH_FAILED',
            `The destination folder ${root} cannot be read (${errno}). Give it to the user that runs Tarfleet.`,
            options,
          );
    case 'EIO':
    case 'ESTALE':
    case 'ETIMEDOUT':
    case 'EMFILE':
    case 'ENFILE':
      return new AppError('STORAGE_FAILED', `The destination folder ${root} failed (${errno}).`, {
        ...options,
        retryable: true,
      });
    default:
      return new AppError('STORAGE_FAILED', `The destination folder ${root} failed (${errno}).`, options);
  }
}
