import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startPostgres } from '@tarfleet/stack';
import { chooseCells } from './choose-cells.ts';
import { createFaultWorld } from './fault-world.ts';
import { type CellResult, runCell } from './run-cell.ts';
import { tableOf } from './table.ts';

const run = promisify(execFile);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** The command behind `pnpm faults`; gives its exit code. */
export async function runFaults(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: args.filter((one) => one !== '--'),
    allowPositionals: true,
    options: {
      cells: { type: 'string' },
      sample: { type: 'boolean', default: false },
      seed: { type: 'string', default: process.env.FAULTS_SEED ?? String(Date.now() % 1_000_000) },
    },
  });
  const seed = Number(values.seed);
  if (positionals[0] !== 'restore' || !Number.isInteger(seed)) {
    process.stderr.write('pnpm faults restore [--cells step:fault,...] [--sample] [--seed N]\n');
    return 2;
  }
  const cells = chooseCells({ cells: values.cells, sample: values.sample, seed });
  say(`Faults in restores: ${cells.length} cells, seed ${seed} (FAULTS_SEED or --seed repeats it)`);
  // With an odd seed nothing is kept of what was there before.
  const keepHours = seed % 2 === 0 ? 24 : 0;
  const folder = await mkdtemp(join(tmpdir(), 'tarfleet-faults-'));
  await chmod(folder, 0o755);
  const opened: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => void close().finally(() => process.exit(130)));
  const results: CellResult[] = [];
  let code = 1;
  try {
    // This process alone sees it: journals of restores of this machine's own stay out of the way.
    await mkdir('/var/lib/tarfleet', { recursive: true, mode: 0o700 });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'tmpfs', '/var/lib/tarfleet']);
    const postgres = await startPostgres({ dir: join(folder, 'postgres'), unsafeFast: true });
    opened.push(() => postgres.stop());
    process.env.TEST_POSTGRES_URL = postgres.url('postgres');
    const here = await createFaultWorld(folder, keepHours);
    opened.push(() => here.close());
    for (const [at, cell] of cells.entries()) {
      const result = await runCell(here, cell, seed);
      results.push(result);
      const { step, fault, point, variant, outcome, wrong, seconds, jobId } = result;
      const head = `${at + 1}/${cells.length} ${step}:${fault} (${point}; ${variant}) ${outcome}`;
      say(`${wrong.length === 0 ? 'ok   ' : 'WRONG'} ${head}, ${seconds.toFixed(0)} s`);
      for (const line of wrong) say(`        ${line} [${jobId}]`);
    }
    const bad = results.filter(({ wrong }) => wrong.length > 0).length;
    say(`\n${tableOf(results)}\n\n${results.length} cells, ${bad} wrong, seed ${seed}`);
    code = bad === 0 ? 0 : 1;
  } finally {
    await close();
    if (code === 0) await rm(folder, { recursive: true, force: true });
    else say(`Logs: ${folder}/stack.log`);
  }
  return code;
}
