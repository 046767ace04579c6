import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { Answer, Client } from './client.ts';
import { filesBelow } from './files-below.ts';
import { expectError } from './testing-expect-error.ts';
import { createWorld, type World } from './world.ts';

export const WAIT = { prefer: 'wait=60' };

/** A world in which something is done wrong, on a server that is sound. */
export interface BadWorld extends World {
  /** The sound server, with the service `good`. */
  server: string;
  /** What the service `good` holds. */
  tree: string;
  request: Client['request'];
  /** Asks for a backup and waits for its end. */
  create(body?: object, by?: Client): Promise<Answer>;
  /** A backup that must succeed. */
  backUp(body: object): Promise<string>;
  /** The newest failed backup that names this service must say why, hold nothing and be refused. */
  expectFailed(service: string, code: string): Promise<void>;
  /** Every file in the default destination. */
  stored(): Promise<string[]>;
}

export async function createBadWorld(): Promise<BadWorld> {
  const world = await createWorld('postgres');
  const { client } = world;
  const tree = join(world.dir, 'data/tree');
  await mkdir(join(tree, 'inner'), { recursive: true });
  await writeFile(join(tree, 'text'), 'as it was\n');
  await writeFile(join(tree, 'inner/random'), randomBytes(1 << 20));
  const server = await world.addServer('source');
  await world.addService(server, 'good', [tree]);
  const create: BadWorld['create'] = (body = {}, by = client) =>
    by.request('POST', '/api/backups/create', { type: 'full', encrypt: false, ...body }, WAIT);
  return {
    ...world,
    server,
    tree,
    request: client.request,
    create,
    async backUp(body) {
      const answer = await create(body);
      expect(answer).toMatchObject({ status: 200, body: { data: { status: 'completed' } } });
      return answer.body.data.backup_id;
    },
    async expectFailed(service, code) {
      const { data } = await client.must('GET', '/api/backups/list?status=failed');
      for (const { id } of data.backups) {
        const { data: details } = await client.must('GET', `/api/backups/${id}`);
        if (!details.services.some((one: { name: string }) => one.name === service)) continue;
        expect(details).toMatchObject({ status: 'failed', error: { code }, checksum: null, size_bytes: 0 });
        const { data: status } = await client.must('GET', `/api/backups/status/${id}`);
        expect(status).toMatchObject({ status: 'failed', error: { code } });
        const restore = await client.request('POST', `/api/backups/${id}/restore`, { restoreType: 'full' });
        expectError(restore, 409, 'BACKUP_INCOMPLETE', /no usable content/);
        return;
      }
      throw new Error(`No failed backup of ${service}.`);
    },
    stored: () => filesBelow(join(world.dir, 'stack/backups')),
  };
}
