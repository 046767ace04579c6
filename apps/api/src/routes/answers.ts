/** The envelopes of our own routes. */
import type { Page } from '@tarfleet/db';

export function ok<T>(data: T): { success: true; data: T } {
  return { success: true, data };
}

export function pageOf<R, T>(found: Page<R>, view: (row: R) => T) {
  return {
    success: true as const,
    data: found.items.map(view),
    total: found.total,
    page: found.page,
    per_page: found.perPage,
    total_pages: Math.ceil(found.total / found.perPage),
  };
}

export function deleted(what: string): { success: true; message: string } {
  return { success: true, message: `The ${what} is deleted.` };
}
