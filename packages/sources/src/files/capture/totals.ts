import type { Totals } from '../../types.ts';
import { createLinkCounter } from '../hard-links.ts';
import type { Facts } from './facts.ts';

/** Counts what is to be read, each hard-linked content once. */
export function createTotals(): { totals: Totals; add(facts: Facts): void } {
  const totals: Totals = { files: 0, directories: 0, other: 0, bytes: 0 };
  const links = createLinkCounter();
  return {
    totals,
    add({ type, device, inode, links: names, size }) {
      if (type === 'f') {
        totals.files += 1;
        if (inode === null || links.first(`${device}:${inode}`, names)) totals.bytes += size;
      } else if (type === 'd') totals.directories += 1;
      else totals.other += 1;
    },
  };
}
