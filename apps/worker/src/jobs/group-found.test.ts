import { expect, test } from '@jest/globals';
import type { FoundGroup } from '@tarfleet/contracts';
import type { ListedObject } from '@tarfleet/storage';
import { createGrouping } from './group-found.ts';

const BACKUP = 'project-1/2026-01-02/01890000-0000-7000-8000-000000000001';
const object = (key: string, change: Partial<ListedObject> = {}): ListedObject => ({
  ...{ key, bytes: 3, modifiedAt: new Date('2026-01-02T03:04:05.678Z'), foreign: false },
  ...change,
});

async function grouped(objects: ListedObject[]): Promise<FoundGroup[][]> {
  const given: FoundGroup[][] = [];
  const grouping = createGrouping(async (groups) => void given.push(groups));
  for (const one of objects) await grouping.add(one, 'object');
  await grouping.end();
  return given;
}

test.each([
  [`${BACKUP}/manifest.json`, `${BACKUP}/`],
  [`${BACKUP}/a/b/c.tar.gz`, `${BACKUP}/`],
  [`below/it/${BACKUP}/manifest.json`, `below/it/${BACKUP}/`],
  ['photos/2026/one.jpg', 'photos/'],
  ['stray.bin', 'stray.bin'],
  ['/begins/with/slash', '/begins/'],
  [BACKUP, BACKUP],
  ['project-1/2026-01-02/notes.txt', 'project-1/2026-01-02/notes.txt'],
  ['project-1/readme', 'project-1/readme'],
  [`project-1/2026-01-02/not-a-uuid/x`, 'project-1/2026-01-02/not-a-uuid/x'],
])('%s is told of as %s', async (key, prefix) => {
  const [[group] = []] = await grouped([object(key)]);
  expect(group).toMatchObject({ prefix, example: key, objects: 1, bytes: 3 });
  expect(group?.backupId).toBe(key.includes(`${BACKUP}/`) ? BACKUP.slice(-36) : null);
});

test('what lies together is added up, and what is foreign is told apart', async () => {
  const late = new Date('2026-02-01T00:00:00.000Z');
  const [groups] = await grouped([
    object(`${BACKUP}/one`),
    object(`${BACKUP}/two`, { modifiedAt: late }),
    object(`${BACKUP}/odd%20name`, { foreign: true, modifiedAt: null }),
  ]);
  expect(groups).toEqual([
    expect.objectContaining({
      ...{ foreign: false, objects: 2, bytes: 6, newest: late.toISOString() },
      oldest: '2026-01-02T03:04:05.678Z',
    }),
    expect.objectContaining({ foreign: true, objects: 1, oldest: null, newest: null }),
  ]);
});

test('no more groups than one event takes are held, however many there are', async () => {
  const keys = Array.from({ length: 1203 }, (_, n) => object(`folder-${n}/object`));
  const given = await grouped([...keys, object('folder-3/late')]);
  expect(given.map(({ length }) => length)).toEqual([500, 500, 204]);
  const all = given.flat().filter(({ prefix }) => prefix === 'folder-3/');
  expect(all.map(({ objects }) => objects)).toEqual([1, 1]);
});

test('a backup in a folder of any name is a backup, and what is odd within it is not', async () => {
  const folder = `B%C3%BCro%20${'x'.repeat(1000)}/${BACKUP}`;
  const [groups] = await grouped([
    object(`${folder}/manifest.json`, { foreign: true }),
    object(`${folder}/odd%20name`, { foreign: true }),
  ]);
  expect(groups).toEqual([
    expect.objectContaining({ foreign: false, backupId: BACKUP.slice(-36) }),
    expect.objectContaining({ foreign: true, backupId: BACKUP.slice(-36) }),
  ]);
  for (const { prefix } of groups ?? []) expect(prefix.endsWith(`/${BACKUP}/`)).toBe(true);
});

test('names without end are cut', async () => {
  const [[group] = []] = await grouped([object('x'.repeat(5000), { foreign: true })]);
  expect(group?.prefix).toHaveLength(1000);
});
