import { FAULT_NAMES } from './faults.ts';
import type { CellResult } from './run-cell.ts';
import { STEPS } from './steps.ts';

/** Steps by faults, as Markdown; an empty cell has not been run. */
export function tableOf(results: readonly CellResult[]): string {
  const rows = STEPS.map((step) => {
    const cells = FAULT_NAMES.map((fault) => {
      const mine = results.filter((one) => one.step === step && one.fault === fault);
      return mine
        .map(({ outcome, wrong }) => (wrong.length === 0 ? words(outcome) : `**WRONG** (${words(outcome)})`))
        .join(', ');
    });
    return `| \`${step}\` | ${cells.join(' | ')} |`;
  });
  return [
    `| step | ${FAULT_NAMES.join(' | ')} |`,
    `|${' --- |'.repeat(FAULT_NAMES.length + 1)}`,
    ...rows,
  ].join('\n');
}

function words(outcome: CellResult['outcome']): string {
  return outcome.replace('_', ' ');
}
