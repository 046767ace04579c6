import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTools } from '@tarfleet/testbed';

/** Opens an address in a real browser. Rejects when the browser ends by itself; `close` ends it and what it began. */
export async function openBrowser(url: string): Promise<{ failed: Promise<never>; close(): Promise<void> }> {
  const { chromium } = await requireTools(['chromium']);
  const profile = await mkdtemp(join(tmpdir(), 'tarfleet-chromium-'));
  const flags = [
    ...[
      '--headless=new',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-extensions',
    ],
    ...['--disable-background-networking', '--disable-component-update', `--user-data-dir=${profile}`],
    // Its sandbox does not work for root; the page is ours.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ];
  // A group of its own: it starts many processes.
  const child = spawn(chromium, [...flags, url], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (piece) => {
    said = `${said}${piece}`.slice(-4_000);
  });
  const gone = new Promise<void>((done) => child.once('close', () => done()));
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`chromium ended with ${code}: ${said}`)));
  });
  failed.catch(() => undefined); // Of no interest once the page has said what it had to say.
  return {
    failed,
    async close() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      await gone;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
