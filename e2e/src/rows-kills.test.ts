// Workers that die while rows go into another project: whoever looks sees none of them or all, and they come once.
import { randomInt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRandom } from './faults/random.ts';
import { type ManyRows, openManyRows } from './many-rows.ts';
import { until } from './until.ts';

const {
  ROWS_KILL_ROWS = '20000',
  ROWS_KILL_KILLS = '2',
  ROWS_KILL_SEED = String(randomInt(1_000_000)),
} = process.env;
const ROWS = Number(ROWS_KILL_ROWS);
const SEED = Number(ROWS_KILL_SEED);
/** Of anything that takes the longer the more rows there are. */
const PATIENCE_MS = 60_000 + ROWS;
const say = (text: string): void => void process.stderr.write(`rows-kills: ${text}\n`);
const random = createRandom(SEED);

let rows: ManyRows;
beforeAll(async () => {
  say(
    `${ROWS} rows (ROWS_KILL_ROWS), seed ${SEED} (ROWS_KILL_SEED), ${ROWS_KILL_KILLS} kills (ROWS_KILL_KILLS)`,
  );
  rows = await openManyRows(ROWS, PATIENCE_MS);
}, 2 * PATIENCE_MS);
afterAll(() => rows?.close(), PATIENCE_MS);

/** Starts a restore into a project of its own, and looks at that all the time. */
async function begin() {
  const target = await rows.addProject();
  const strangers = await rows.strangersOf(target);
  const watch = rows.watch(target);
  const began = performance.now();
  const jobId = await rows.restoreInto(target);
  return {
    target,
    jobId,
    at: () => `${((performance.now() - began) / 1000).toFixed(2)} s`,
    async end() {
      const job = await rows.client.ended(jobId, 2 * PATIENCE_MS);
      const seen = await watch.stop();
      say(
        `${job.state} after ${((performance.now() - began) / 1000).toFixed(1)} s; looked ${watch.looks()} times and saw ${seen.join(', then ')}`,
      );
      expect(await rows.strangersOf(target)).toBe(strangers);
      const left = (await readdir('/var/lib/tarfleet/databases')).filter((name) => name.startsWith(jobId));
      return { state: job.state as string, seen, left };
    },
  };
}

async function expectAll(target: number, seen: readonly string[]): Promise<void> {
  // One transaction brought them, and nothing else was ever seen.
  expect(seen).toHaveLength(2);
  expect(seen[0]).toBe('none');
  expect(seen[1]).toMatch(/^all of transaction \d+$/);
  expect(await rows.shapeOf(target)).toBe(await rows.shapeOf(rows.own));
}

test(
  'killed at any moment, by whomever it is ended',
  async () => {
    const restore = await begin();
    for (let kills = 0; kills < Number(ROWS_KILL_KILLS); kills += 1) {
      const isOver = async (): Promise<boolean> =>
        (await rows.client.must('GET', `/api/jobs/${restore.jobId}`)).data.ended_at !== null;
      // Every other one while rows are put in place, which is the shorter part.
      if (kills % 2 === 0)
        await until(
          'the transaction runs',
          async () => (await rows.inTransaction()) || isOver(),
          PATIENCE_MS,
        );
      await sleep(random() * (kills % 2 === 0 ? 100 + ROWS / 100 : 1_500 + ROWS / 50));
      if (await isOver()) break;
      say(`killed at ${restore.at()}, ${(await rows.inTransaction()) ? 'in' : 'outside of'} the transaction`);
      await rows.kill();
      await rows.revive();
    }
    const { state, seen, left } = await restore.end();
    expect(state).toBe('completed');
    await expectAll(restore.target, seen);
    // What was there before is nothing, and yet the way back.
    expect(left).toHaveLength(1);
  },
  6 * PATIENCE_MS,
);

test(
  'what commits after its worker has died is not done again',
  async () => {
    const release = await rows.holdUp();
    const restore = await begin();
    await until('it is held up in the middle', () => rows.isHeldUp(), PATIENCE_MS);
    await rows.kill();
    say(`killed at ${restore.at()}, in the middle of the transaction, which goes on`);
    await release();
    await until('it commits by itself', async () => !(await rows.inTransaction()), PATIENCE_MS);
    expect(await rows.look(restore.target)).toMatch(/^all/);
    await rows.revive();
    const { state, seen } = await restore.end();
    expect(state).toBe('completed');
    await expectAll(restore.target, seen);
  },
  6 * PATIENCE_MS,
);

test(
  'cancelled in the middle, none of it is there',
  async () => {
    const release = await rows.holdUp();
    const restore = await begin();
    await until('it is held up in the middle', () => rows.isHeldUp(), PATIENCE_MS);
    await rows.client.must('POST', `/api/jobs/${restore.jobId}/cancel`, {});
    await until('it is ended', async () => !(await rows.inTransaction()), PATIENCE_MS);
    await release();
    const { state, seen, left } = await restore.end();
    expect([state, seen, left]).toEqual(['cancelled', ['none'], []]);
  },
  6 * PATIENCE_MS,
);
