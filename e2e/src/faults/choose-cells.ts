import { FAULT_NAMES, type FaultName } from './faults.ts';
import { createRandom } from './random.ts';
import type { Cell } from './run-cell.ts';
import { STEPS, type Step } from './steps.ts';

export interface Choice {
  /** `step:fault`, separated by commas; a star stands for all. */
  cells?: string | undefined;
  /** Every step and every fault once. */
  sample: boolean;
  seed: number;
}

/** All cells, those that are named, or a sample that the seed chooses. */
export function chooseCells({ cells, sample, seed }: Choice): Cell[] {
  const all = STEPS.flatMap((step) => FAULT_NAMES.map((fault) => ({ step, fault })));
  if (sample) {
    const faults = shuffle(FAULT_NAMES, createRandom(seed));
    return STEPS.map((step, at) => ({ step, fault: faults[at % faults.length] ?? 'cancelled' }));
  }
  if (cells === undefined) return all;
  return cells.split(',').flatMap((words) => {
    const [step = '', fault = ''] = words.trim().split(':');
    const found = all.filter(
      (cell) => matches(step, cell.step) && matches(fault.replaceAll('_', ' '), cell.fault),
    );
    if (found.length > 0) return found;
    throw new Error(
      `There is no cell ${words}. Steps: ${STEPS.join(', ')}. Faults: ${FAULT_NAMES.join(', ')}. * is all.`,
    );
  });
}

function matches(wanted: string, name: Step | FaultName): boolean {
  return wanted === '*' || wanted === name;
}

function shuffle<T>(from: readonly T[], random: () => number): T[] {
  const left = [...from];
  const found: T[] = [];
  while (left.length > 0) found.push(...left.splice(Math.floor(random() * left.length), 1));
  return found;
}
