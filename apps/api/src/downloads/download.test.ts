// Downloads over a real connection, of real objects, from a folder and from a server that speaks S3.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type DownloadWorld, openDownloadWorld, type StoredBackup } from '../testing/download-world.ts';

describe.each(['local', 's3'] as const)('from %s', (kind) => {
  let world: DownloadWorld;
  let base: string;
  let one: StoredBackup;
  let several: StoredBackup;
  let sealed: StoredBackup;
  beforeAll(async () => {
    world = await openDownloadWorld(kind);
    base = await world.t.app.listen({ host: '127.0.0.1', port: 0 });
    one = await world.stored([300_001]);
    several = await world.stored([70_000, 512, 1]);
    sealed = await world.stored([1000], { encrypted: true });
  });
  afterAll(() => world.close());

  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`${base}${path}`, {
      ...{ method, redirect: 'manual' },
      headers: { authorization: `Bearer ${world.token}`, ...headers },
    });
  const codeOf = async (answer: Response) => ((await answer.json()) as { code: string }).code;
  const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
  const url = ({ id }: StoredBackup, query = '') => `/api/backup/${id}/download${query}`;

  test('one archive comes as it is, under both paths', async () => {
    const [archive] = one.archives;
    for (const path of [url(one), `/api/backups/${one.id}/download`]) {
      const answer = await get(path);
      expect(answer.status).toBe(200);
      expect(await bytesOf(answer)).toEqual(archive?.content);
      const sha256 = createHash('sha256').update(archive!.content);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'content-length': '300001',
        'accept-ranges': 'bytes',
        'content-type': 'application/gzip',
        'content-disposition': expect.stringMatching(
          /^attachment; filename="backup-[-0-9a-f]+-app\.tar\.gz"$/,
        ),
        etag: `"${sha256.copy().digest('hex')}"`,
        'repr-digest': `sha-256=:${sha256.digest('base64')}:`,
      });
    }
  });

  test('several come as one tar, which tar itself unpacks, laid out as in the destination', async () => {
    const answer = await get(url(several));
    const content = await bytesOf(answer);
    expect([answer.status, Number(answer.headers.get('content-length'))]).toEqual([200, content.length]);
    expect(answer.headers.get('content-type')).toBe('application/x-tar');
    await expectUnpacks(content, several);
  });

  test('an encrypted one comes as it is stored, and as a tar with its key object', async () => {
    expect(await bytesOf(await get(url(sealed)))).toEqual(sealed.archives[0]?.content);
    await expectUnpacks(await bytesOf(await get(url(sealed, '?format=tar'))), sealed);
  });

  test('any range is the slice of the whole', async () => {
    for (const backup of [one, several]) {
      const whole = await bytesOf(await get(url(backup)));
      const offset = fc.nat({ max: whole.length + 1000 });
      await fc.assert(
        fc.asyncProperty(offset, offset, fc.constantFrom('both', 'open', 'suffix'), async (a, b, form) => {
          const [first, last] = [Math.min(a, b), Math.max(a, b)];
          const range = form === 'both' ? `${first}-${last}` : form === 'open' ? `${first}-` : `-${last}`;
          const answer = await get(url(backup), { range: `bytes=${range}` });
          const start = form === 'suffix' ? Math.max(0, whole.length - last) : first;
          const end = form === 'both' ? Math.min(last + 1, whole.length) : whole.length;
          if (start >= whole.length || (form === 'suffix' && last === 0)) {
            expect([answer.status, await codeOf(answer)]).toEqual([416, 'RANGE_NOT_SATISFIABLE']);
            expect(answer.headers.get('content-range')).toBe(`bytes */${whole.length}`);
            return;
          }
          expect(answer.status).toBe(206);
          expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${whole.length}`);
          expect((await bytesOf(answer)).equals(whole.subarray(start, end))).toBe(true);
        }),
        { numRuns: 40 },
      );
    }
  });

  test('HEAD, If-Range and If-None-Match', async () => {
    const head = await get(url(several), {}, 'HEAD');
    const etag = head.headers.get('etag') ?? '';
    const length = Number(head.headers.get('content-length'));
    expect([head.status, length > 70_000, (await bytesOf(head)).length]).toEqual([200, true, 0]);
    const part = await get(url(several), { range: 'bytes=0-9' }, 'HEAD');
    expect([part.status, Number(part.headers.get('content-length'))]).toEqual([200, length]);
    expect((await get(url(several), { 'if-none-match': etag })).status).toBe(304);
    const same = await get(url(several), { range: 'bytes=0-9', 'if-range': etag });
    const other = await get(url(several), { range: 'bytes=0-9', 'if-range': '"another"' });
    expect([same.status, (await bytesOf(same)).length]).toEqual([206, 10]);
    expect([other.status, (await bytesOf(other)).length]).toEqual([200, length]);
    // The hold goes after the answer's last byte, which may be here first.
    while ((await held()) > 0) await sleep(20);
  });

  test('a link is given where the destination makes one, and needs no token', async () => {
    const answer = await get(url(one, '?redirect=true'));
    if (kind === 'local') {
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
      return;
    }
    expect(answer.status).toBe(302);
    const link = answer.headers.get('location') ?? '';
    const followed = await fetch(link);
    expect(await bytesOf(followed)).toEqual(one.archives[0]?.content);
    expect(followed.headers.get('content-disposition')).toContain('attachment; filename="');
    expect((await fetch(link.replace(/Expires=\d+/, 'Expires=999'))).status).toBe(403);
    // The object stays as long as the link is good.
    expect(await world.t.db.holds.count(one.id)).toBe(1);
    // Of a HEAD no note is taken, so it is not given what opens the archive.
    expect((await get(url(one, '?redirect=true'), {}, 'HEAD')).status).toBe(200);
    const direct = await get(url(several, '?redirect=true'));
    expect([direct.status, (await bytesOf(direct)).length > 70_000]).toEqual([200, true]);
  });

  test('each download is in the audit log, and HEAD is not', async () => {
    const fresh = await world.stored([10]);
    await (await get(url(fresh), {}, 'HEAD')).arrayBuffer();
    await (await get(url(fresh))).arrayBuffer();
    const rows = await world.t.db.auditLog.list({
      seenBy: null,
      targetId: fresh.id,
      action: 'backup.download',
      limit: 9,
    });
    expect(rows.map(({ outcome, status }) => [outcome, status])).toEqual([['succeeded', 200]]);
  });

  test('an object that is gone or has another size is an error before the first byte', async () => {
    const broken = await world.stored([5000, 5000]);
    const [first, second] = broken.archives;
    await world.storage.delete(first!.key, new AbortController().signal);
    const answer = await get(url(broken));
    expect([answer.status, await codeOf(answer)]).toEqual([422, 'OBJECT_NOT_FOUND']);
    expect(second).toBeDefined();
    expect(await held(broken.id)).toBe(0);
  });

  test('only an administrator downloads', async () => {
    const { token } = await world.t.as('operator', world.projectId);
    const answer = await get(url(one), { authorization: `Bearer ${token}` });
    expect([answer.status, await codeOf(answer)]).toEqual([403, 'INSUFFICIENT_PERMISSIONS']);
  });

  test('a client that goes away gives the backup back', async () => {
    const large = await world.stored([30_000_000]);
    const client = begin(`${base}${url(large)}`);
    await client.first;
    expect(await held(large.id)).toBe(1);
    client.leave();
    while ((await held(large.id)) > 0) await sleep(20);
    expect(world.t.logged()).toContain('download broken off');
  });

  test('a destination that breaks off breaks the connection: never a clean end', async () => {
    if (kind === 's3') return;
    const large = await world.stored([30_000_000]);
    const client = begin(`${base}${url(large)}`);
    const answer = await client.first;
    await truncate(join(world.folder, large.archives[0]!.key), 1000);
    const end = await new Promise<string>((resolve) => {
      answer.on('end', () => resolve('clean')).on('error', (error) => resolve((error as Error).message));
      answer.resume();
    });
    expect(end).toBe('aborted');
    while ((await held(large.id)) > 0) await sleep(20);
  });

  test('a process that stops takes no more, and ends those that run', async () => {
    if (kind === 's3') return;
    const large = await world.stored([30_000_000]);
    const client = begin(`${base}${url(large)}`);
    const answer = await client.first;
    const broken = new Promise<void>((resolve) => answer.once('error', () => resolve()));
    const closed = world.t.downloads.close(0);
    const late = await get(url(large));
    expect([late.status, await codeOf(late), late.headers.get('retry-after')]).toEqual([
      ...[503, 'UNAVAILABLE', '5'],
    ]);
    answer.resume();
    await broken;
    await closed;
    expect(await held(large.id)).toBe(0);
  });

  /** Holds of a backup, but for those of links. */
  async function held(id = several.id): Promise<number> {
    return world.t.db.holds.count(id);
  }

  function begin(from: string) {
    const sent = request(from, { headers: { authorization: `Bearer ${world.token}` } });
    const first = new Promise<IncomingMessage>((resolve, reject) => {
      sent.on('error', reject);
      sent.on('response', (answer) => answer.once('readable', () => resolve(answer)));
    });
    sent.end();
    return { first, leave: () => sent.destroy() };
  }
});

/** Exactly these objects, byte for byte, under their own names. */
async function expectUnpacks(content: Buffer, { objects }: StoredBackup): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tarfleet-untar-'));
  try {
    await writeFile(join(folder, 'all.tar'), content);
    const listed = execFileSync('tar', ['tf', 'all.tar'], { cwd: folder, encoding: 'utf8' });
    expect(listed.trim().split('\n').sort()).toEqual([...objects.keys()].sort());
    execFileSync('tar', ['xf', 'all.tar'], { cwd: folder });
    for (const [key, bytes] of objects) expect(await readFile(join(folder, key))).toEqual(bytes);
  } finally {
    await rm(folder, { recursive: true });
  }
}
