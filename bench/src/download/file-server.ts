import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { requireTools } from '@tarfleet/testbed';

/** nginx with its own defaults, on a free port, for the folder of one file; `url` is the file's. */
export async function startFileServer(
  dir: string,
  file: string,
): Promise<{ url: string; stop(): Promise<void> }> {
  const { nginx } = await requireTools(['nginx']);
  const socket = 8000 + (process.pid % 50_000);
  await writeFile(
    join(dir, 'nginx.conf'),
    `daemon off; pid ${dir}/nginx.pid; error_log ${dir}/nginx-error.log; worker_processes 1; user root;
events {}
http { access_log off; sendfile on; server { listen 127.0.0.1:${socket}; root ${dirname(file)}; } }
`,
  );
  const child = spawn(nginx, ['-c', join(dir, 'nginx.conf')], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${socket}/${basename(file)}`;
  const answers = (): Promise<boolean> =>
    fetch(url, { method: 'HEAD' }).then(
      ({ ok }) => ok,
      () => false,
    );
  for (let tries = 0; !(await answers()); tries += 1) {
    if (child.exitCode !== null || tries > 100) throw new Error('nginx does not serve the file.');
    await sleep(50);
  }
  return {
    url,
    async stop() {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export async function largestBelow(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  let [path, size] = ['', -1];
  for (const entry of entries.filter((one) => one.isFile())) {
    const one = join(entry.parentPath, entry.name);
    const found = (await stat(one)).size;
    if (found > size) [path, size] = [one, found];
  }
  return path;
}
