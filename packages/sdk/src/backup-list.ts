import type { CallOptions, Http } from './http.ts';
import type { Backup, BackupPage } from './types.ts';

export interface ListOptions extends CallOptions {
  /** How many are asked for at once, 1 to 100; 100 when left out. */
  pageSize?: number;
}

/**
 * The backups of a project, newest first. `await` gives all of them; `for await` reads page by page and holds no more
 * than one. What is made or deleted meanwhile makes it neither miss nor repeat any other.
 */
export interface BackupList extends PromiseLike<Backup[]>, AsyncIterable<Backup> {
  catch<T>(onRejected: (reason: unknown) => T | PromiseLike<T>): Promise<Backup[] | T>;
  finally(onFinally: () => void): Promise<Backup[]>;
}

export function createBackupList(
  http: Http,
  projectId: number,
  { pageSize = 100, ...call }: ListOptions,
): BackupList {
  async function* each(): AsyncGenerator<Backup> {
    let after: string | undefined;
    for (;;) {
      const { data } = await http.json<BackupPage>({
        ...{ ...call, method: 'GET', path: `/api/projects/${projectId}/backups` },
        query: { per_page: pageSize, after },
      });
      yield* data;
      after = data.at(-1)?.id;
      if (data.length < pageSize) return;
    }
  }
  // Asked for once, and not before somebody waits for it.
  let asked: Promise<Backup[]> | undefined;
  const all = (): Promise<Backup[]> => {
    asked ??= collect(each());
    return asked;
  };
  return {
    // biome-ignore lint/suspicious/noThenProperty: it is to be awaited
    then: (onFulfilled, onRejected) => all().then(onFulfilled, onRejected),
    catch: (onRejected) => all().catch(onRejected),
    finally: (onFinally) => all().finally(onFinally),
    [Symbol.asyncIterator]: each,
  };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
