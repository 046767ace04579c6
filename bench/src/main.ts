// `pnpm bench [name [part...]]`: runs one bench (or some of its parts), or all. Each prints tables, then a line of JSON for each of its figures.
// The exit code is 0 only when every bench ran to its end; a goal that is missed shows in its figure.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archiveBench } from './archive/archive-bench.ts';
import type { Bench, BenchContext, Figure } from './bench.ts';
import { downloadBench } from './download/download-bench.ts';
import { memoryBench } from './memory/memory-bench.ts';
import { queueBench } from './queue/queue-bench.ts';
import { restoreBench } from './restore/restore-bench.ts';
import { rowsBench } from './rows/rows-bench.ts';
import { statisticsBench } from './statistics/statistics-bench.ts';
import { table } from './table.ts';

const BENCHES: Bench[] = [
  queueBench,
  memoryBench,
  archiveBench,
  restoreBench,
  rowsBench,
  downloadBench,
  statisticsBench,
];

const [wanted, ...parts] = process.argv.slice(2).filter((argument) => argument !== '--');
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const interrupted = new AbortController();
const owned: { stop(): Promise<void> }[] = [];

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(130);
    say('\nInterrupted: stopping everything. Once more to leave at once.');
    interrupted.abort(new Error('The bench was interrupted.'));
  });
}

function createContext(): BenchContext {
  const { BENCH_NODE_OPTIONS: nodeOptions, BENCH_SERVICES: services } = process.env;
  return {
    signal: interrupted.signal,
    say,
    own(one) {
      owned.push(one);
      return one;
    },
    async folder() {
      const dir = await mkdtemp(join(tmpdir(), 'tarfleet-bench-'));
      owned.push({ stop: () => rm(dir, { recursive: true, force: true }) });
      await chmod(dir, 0o755);
      return dir;
    },
    processEnv: nodeOptions ? { NODE_OPTIONS: nodeOptions } : {},
    services: Number(services ?? 600),
    parts,
  };
}

async function runOne(bench: Bench): Promise<boolean> {
  say(`\n# ${bench.name}: ${bench.about}\n`);
  let figures: Figure[] = [];
  let ok = true;
  try {
    figures = await bench.run(createContext());
  } catch (error) {
    ok = false;
    const text = interrupted.signal.aborted ? 'interrupted' : ((error as Error).stack ?? String(error));
    process.stderr.write(`\n${bench.name}: ${text}\n`);
  }
  for (const one of owned.splice(0).reverse()) {
    await one.stop().catch((error: unknown) => {
      ok = false;
      process.stderr.write(`Cleaning up failed: ${String(error)}\n`);
    });
  }
  const rows = figures.map(({ figure, ours, other, ratio }) => [figure, ours, other ?? '-', ratio ?? '-']);
  if (figures.length > 0) say(`\n${table(['figure', 'ours', 'other', 'ratio'], rows)}\n`);
  for (const one of figures) say(JSON.stringify(one));
  return ok;
}

const chosen = BENCHES.filter(({ name }) => wanted === undefined || name === wanted);
say(`Benches:\n${BENCHES.map(({ name, about }) => `  ${name.padEnd(8)} ${about}`).join('\n')}`);
let code = 0;
if (chosen.length === 0) {
  process.stderr.write(`There is no bench ${wanted}.\n`);
  code = 2;
}
for (const bench of chosen) {
  if (interrupted.signal.aborted) break;
  if (!(await runOne(bench))) code = 1;
}
process.exit(interrupted.signal.aborted ? 130 : code);
