// The main job over HTTP alone: back up, follow, verify, damage, restore, cancel, delete.
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { compareTrees, makeNastyTree, snapshotTree } from '@tarfleet/testbed';
import { BACKENDS, createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

describe.each(BACKENDS)('the main path on %s', (backend) => {
  test('a server comes back in every byte and attribute, and a damaged archive is refused', async () => {
    const here = await createWorld(backend);
    world = here;
    const { client } = here;
    const tree = join(here.dir, 'data/site');
    await makeNastyTree(tree);
    const before = await snapshotTree(tree);
    await here.addService(await here.addServer('source'), 'site', [tree]);

    const key = { 'idempotency-key': randomBytes(8).toString('hex') };
    const body = { type: 'full', description: 'first' };
    const first = await client.request('POST', '/api/backups/create', body, key);
    const again = await client.request('POST', '/api/backups/create', body, key);
    expect([first.status, again.status]).toEqual([202, 202]);
    const id: string = first.body.data.backup_id;
    expect(again.body.data.backup_id).toBe(id);
    expect(first.body.data.warnings).toEqual([]);

    const seen: string[] = [];
    for await (const { id: eventId, event } of client.events(id))
      if (eventId) seen.push(`${eventId} ${event}`);
    const middle = seen[Math.floor(seen.length / 2)]?.split(' ')[0];
    const resumed: string[] = [];
    for await (const { id: eventId, event } of client.events(id, middle)) {
      if (eventId) resumed.push(`${eventId} ${event}`);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(resumed).toEqual(seen.slice(Math.floor(seen.length / 2) + 1));

    const { data: status } = await client.must('GET', `/api/backups/status/${id}`);
    expect(status).toMatchObject({ status: 'completed', progress_percent: 100, phases_remaining: [] });
    const verified = await client.request('POST', `/api/backups/${id}/verify`, undefined, WAIT);
    expect(verified.status).toBe(200);
    expect(verified.body).toMatchObject({ message: 'Backup is valid', data: { isValid: true } });

    await rm(join(tree, 'with space'));
    await writeFile(join(tree, 'hard-1'), 'damaged');
    const kept = await client.request('POST', `/api/backups/${id}/restore`, { overwrite: false }, WAIT);
    expect(kept.status).toBe(200);
    expect(compareTrees(before, await snapshotTree(tree)).join()).toContain('hard-1');
    const full = { restoreType: 'full', overwrite: true };
    const restored = await client.request('POST', `/api/backups/${id}/restore`, full, WAIT);
    expect(restored.body).toMatchObject({
      message: 'Backup restored successfully',
      data: { servicesRestored: ['site'] },
    });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);

    const elsewhere = join(here.dir, 'data/elsewhere');
    await client.must('POST', `/api/backups/${id}/restore`, { restorePath: elsewhere }, WAIT);
    expect(compareTrees(before, await snapshotTree(join(elsewhere, tree)))).toEqual([]);

    const { data: details } = await client.must('GET', `/api/backups/${id}`);
    const stored = join(here.dir, 'stack/backups', details.services[0].file_path);
    await appendFile(stored, 'x');
    const damaged = await client.request('POST', `/api/backups/${id}/verify`, undefined, WAIT);
    expect(damaged.body).toMatchObject({ message: 'Backup verification failed', data: { isValid: false } });
    const refused = await client.request('POST', `/api/backups/${id}/restore`, full, WAIT);
    expect(refused.status).toBe(500);
    expect(refused.body).toMatchObject({ success: false, code: 'RESTORE_FAILED' });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);

    const held = await client.request('DELETE', `/api/backups/${id}`);
    expect(held.body.code).toBe('RETENTION_POLICY_VIOLATION');
    const gone = await client.request('DELETE', `/api/backups/${id}?force=true&reason=test`, undefined, WAIT);
    expect(gone.status).toBe(200);
    expect((await client.request('GET', `/api/backups/${id}`)).body.code).toBe('BACKUP_NOT_FOUND');
  }, 180_000);

  test('a running backup is cancelled from another API process and lets go of its service', async () => {
    const here = await createWorld(backend);
    world = here;
    const tree = join(here.dir, 'data/big');
    await mkdir(tree, { recursive: true });
    await writeFile(join(tree, 'random'), randomBytes(300 << 20));
    await here.addService(await here.addServer('source'), 'big', [tree]);
    const second = here.client.at((await here.stack.addApi()).url);

    const id = await here.startBackup();
    for await (const { event, data } of here.client.events(id))
      if (event === 'progress' && data.bytes_done > 0) break;
    const busy = await here.client.request('POST', '/api/backups/create', { type: 'full' });
    expect(busy.body.code).toBe('BACKUP_IN_PROGRESS');
    const answer = await second.request('POST', `/api/jobs/${id}/cancel`);
    expect(answer.status).toBe(202);
    expect((await here.client.ended(id, 15_000)).state).toBe('cancelled');
    const next = await here.client.request('POST', '/api/backups/create', { type: 'full' }, WAIT);
    expect(next.status).toBe(200);
  }, 180_000);
});
