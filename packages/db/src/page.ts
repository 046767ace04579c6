/** Which part of a list: pages count from 1. */
export interface PageRequest {
  page: number;
  perPage: number;
}

export interface Page<T> extends PageRequest {
  items: T[];
  /** Of all pages. */
  total: number;
}

/** Reads one page and the number of all rows. */
export async function readPage<Row, T>(
  request: PageRequest,
  find: (range: { skip: number; take: number }) => Promise<Row[]>,
  count: () => Promise<number>,
  toRecord: (row: Row) => T,
): Promise<Page<T>> {
  const range = { skip: (request.page - 1) * request.perPage, take: request.perPage };
  const [rows, total] = await Promise.all([find(range), count()]);
  return { items: rows.map(toRecord), total, page: request.page, perPage: request.perPage };
}

/** The projects that somebody may see. */
export type ProjectScope = 'all' | readonly number[];

/** A condition on `projectId` for a scope. */
export function inScope(scope: ProjectScope): { projectId?: { in: number[] } } {
  return scope === 'all' ? {} : { projectId: { in: [...scope] } };
}
