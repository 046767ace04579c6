// A backup of which one service fails: what succeeded is kept and comes back, what failed is named everywhere.
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { BACKENDS, createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

describe.each(BACKENDS)('a backup of two services on %s', (backend) => {
  test('is partial when the path of one is missing; the good one comes back, the other is refused', async () => {
    const here = await createWorld(backend);
    world = here;
    const { client } = here;
    const tree = join(here.dir, 'data/good');
    const missing = join(here.dir, 'data/missing');
    await mkdir(join(tree, 'inner'), { recursive: true });
    await writeFile(join(tree, 'inner/random'), randomBytes(3 << 20));
    await writeFile(join(tree, 'text'), 'as it was\n');
    const before = await snapshotTree(tree);
    const server = await here.addServer('source');
    const good = await here.addService(server, 'good', [tree]);
    const bad = await here.addService(server, 'bad', [missing], { component: 'uploads' });

    const made = await client.request('POST', '/api/backups/create', { type: 'full', encrypt: false }, WAIT);
    expect(made).toMatchObject({ status: 200, body: { success: true, data: { status: 'partial' } } });
    expect(made.body.message).toContain('some services failed');
    const id: string = made.body.data.backup_id;

    const error = { code: 'PATH_NOT_FOUND', message: expect.stringMatching(/^bad: .*data\/missing/) };
    const own = { code: 'PATH_NOT_FOUND', message: expect.stringContaining('Correct the service') };
    const { data: status } = await client.must('GET', `/api/backups/status/${id}`);
    expect(status).toMatchObject({ status: 'partial', progress_percent: 100, phases_remaining: [], error });
    const details = await client.must('GET', `/api/backups/${id}`);
    expect(details).toMatchObject({ status: 'partial', data: { status: 'partial', error, verified: true } });
    const byName = new Map(details.data.services.map((one: { name: string }) => [one.name, one]));
    expect(byName.get('good')).toMatchObject({ id: good, status: 'completed', error: null, files_count: 2 });
    expect(byName.get('bad')).toMatchObject({
      ...{ id: bad, component: 'uploads', status: 'failed', error: own },
      ...{ file_path: null, checksum: null, size_bytes: null, paths: [missing] },
    });
    const { data: job } = await client.must('GET', `/api/jobs/${id}`);
    expect(job).toMatchObject({ state: 'partial', failure: null });
    expect(job.result.failed).toMatchObject([{ service_id: bad, service_name: 'bad', failure: own }]);
    const events: string[] = [];
    for await (const { event, data } of client.events(id)) events.push(`${event} ${data?.state ?? ''}`);
    expect(events).toContain('ended partial');
    expect(events).toContain('ended failed');

    const listed = async (wanted: string): Promise<string[]> => {
      const { data } = await client.must('GET', `/api/backups/list?status=${wanted}`);
      return data.backups.map((one: { id: string }) => one.id);
    };
    expect([await listed('completed'), await listed('failed'), await listed('partial')]).toEqual([
      ...[[], [], [id]],
    ]);
    const stored = join(here.dir, 'stack/backups');
    const [artifact] = job.result.artifacts;
    const kept = [job.result.manifest_key, artifact.key, artifact.index.key].sort();
    expect(await filesBelow(stored)).toEqual(kept);

    const verified = await client.request('POST', `/api/backups/${id}/verify`, undefined, WAIT);
    expect(verified.body.data).toMatchObject({ isValid: true, issues: [] });

    await rm(join(tree, 'inner'), { recursive: true });
    await writeFile(join(tree, 'text'), 'damaged\n');
    const damaged = await snapshotTree(tree);
    const selective = { restoreType: 'selective', overwrite: true };
    for (const selectedServices of [['bad'], [bad], ['good', 'bad']]) {
      const body = { ...selective, selectedServices };
      const refused = await client.request('POST', `/api/backups/${id}/restore`, body, WAIT);
      expect(refused).toMatchObject({ status: 404, body: { success: false, code: 'NOT_FOUND' } });
      expect(refused.body.message).toContain('It holds: good.');
    }
    expect(compareTrees(damaged, await snapshotTree(tree))).toEqual([]);

    const chosen = { ...selective, selectedServices: ['good'] };
    const restored = await client.request('POST', `/api/backups/${id}/restore`, chosen, WAIT);
    expect(restored).toMatchObject({ status: 200, body: { data: { servicesRestored: ['good'] } } });
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);

    await rm(tree, { recursive: true });
    const all = { restoreType: 'full', overwrite: true };
    const whole = await client.request('POST', `/api/backups/${id}/restore`, all, WAIT);
    expect(whole).toMatchObject({ status: 200, body: { data: { servicesRestored: ['good'] } } });
    // Whoever restores all must hear that this is not all.
    expect(whole.body.data.warnings.join()).toContain('bad');
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);

    await mkdir(missing);
    const next = await client.request('POST', '/api/backups/create', { type: 'full', encrypt: false }, WAIT);
    expect(next).toMatchObject({ status: 200, body: { data: { status: 'completed' } } });
    expect(await listed('completed')).toEqual([next.body.data.backup_id]);
  }, 180_000);
});
