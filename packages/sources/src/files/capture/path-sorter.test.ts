import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { comparePaths } from '@tarfleet/archive';
import fc from 'fast-check';
import { createPathSorter } from './path-sorter.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-sort-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function sort(records: [Buffer, Buffer][], runBytes: number, times = 1): Promise<string[][]> {
  const sorter = createPathSorter({ dir, runBytes });
  try {
    for (const [path, facts] of records) await sorter.add(path, facts.toString('latin1'));
    const read: string[][] = [];
    for (let time = 0; time < times; time += 1) {
      const list: string[] = [];
      for await (const batch of sorter.sorted()) {
        for (const { path, facts } of batch) {
          list.push(`${path.toString('hex')}=${Buffer.from(facts, 'latin1').toString('hex')}`);
        }
      }
      read.push(list);
    }
    return read;
  } finally {
    await sorter.close();
    await sorter.close();
  }
}

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));

/** Few different bytes, so that equal beginnings are common; no NUL. */
const path = fc
  .array(fc.constantFrom(0x2f, 0x2e, 0x30, 0x01, 0xff, 0x61), { maxLength: 6 })
  .map((array) => Buffer.from(array));

describe('createPathSorter', () => {
  test('any records come sorted, the first of equal paths, from memory and from any number of runs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(path, bytes(6)), { maxLength: 200 }),
        fc.integer({ min: 1, max: 3000 }),
        async (records, runBytes) => {
          const first = new Map<string, string>();
          for (const [path, facts] of records) {
            const key = path.toString('hex');
            if (!first.has(key)) first.set(key, facts.toString('hex'));
          }
          const wanted = [...first.keys()]
            .sort((a, b) => comparePaths(Buffer.from(a, 'hex'), Buffer.from(b, 'hex')))
            .map((key) => `${key}=${first.get(key)}`);
          expect(await sort(records, runBytes, 2)).toEqual([wanted, wanted]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('leaves nothing on the disk, also when it is left in the middle', async () => {
    const sorter = createPathSorter({ dir, runBytes: 64 });
    for (let at = 0; at < 100; at += 1) await sorter.add(Buffer.from(`/p${at}`), 'x'.repeat(20));
    for await (const [record] of sorter.sorted()) {
      expect(record?.path.toString()).toBe('/p0');
      break;
    }
    await sorter.close();
    expect(await readdir(dir)).toEqual([]);
  });
});
