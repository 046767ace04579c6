import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AppError, timeLimit } from '@tarfleet/kernel';
import type { Driver, Storage } from './types.ts';

/** Long enough for a slow server to take away what an aborted check has left. */
const CLEANUP_MS = 30_000;

/**
 * Adds `check`: everything that a backup's life needs of a destination, done once with a small object, by the driver itself:
 * somebody waits for the answer, and a fault that passes is one to know of.
 */
export function withCheck(storage: Omit<Storage, 'check'>, driver: Driver, where: string): Storage {
  return {
    ...storage,
    async check(signal) {
      const folder = `tarfleet-check-${randomBytes(8).toString('hex')}`;
      const key = `${folder}/object`;
      const content = randomBytes(64);
      const wrong = (what: string): AppError =>
        new AppError(
          'STORAGE_FAILED',
          `${where} took a small object, but ${what}. Is it what it claims to be?`,
        );
      try {
        await driver.put(key, Readable.from([content], { objectMode: false }), {
          signal,
          sizeHint: content.length,
        });
        const found = await driver.stat(key, signal);
        if (found?.bytes !== content.length) throw wrong('then knew nothing of it, or gave another size');
        if (!(await buffer((await driver.open(key, { signal })).body)).equals(content))
          throw wrong('gave back other bytes');
        const listed: string[] = [];
        for await (const object of driver.list(folder, signal)) listed.push(object.key);
        if (listed.length !== 1 || listed[0] !== key) throw wrong('did not list it');
        await driver.abortUploads(folder, signal);
        await driver.delete(key, signal);
        if ((await driver.stat(key, signal)) !== null) throw wrong('kept it when it was deleted');
      } catch (error) {
        // The first fault is the one to tell; the object goes with the bucket's or folder's next cleaning at worst.
        await driver.delete(key, timeLimit(CLEANUP_MS)).catch(() => {});
        throw error;
      }
    },
  };
}
