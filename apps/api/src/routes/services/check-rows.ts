import type { Fault } from '../../plugins/faults.ts';
import type { DatabaseBody } from './database-schemas.ts';

/** What is wrong with which rows of which database a service is. */
export function checkRows(database: Pick<DatabaseBody, 'databases' | 'rows'> | null): Fault[] {
  const faults: Fault[] = [];
  const say = (path: string, message: string): void =>
    void faults.push({ path: `body/database/${path}`, message });
  if (database?.databases?.length !== 1) {
    say('databases', 'must name the one database for services of the type rows');
  }
  if (!database?.rows) {
    say('rows', 'is required for services of the type rows');
    return faults;
  }
  const { tables } = database.rows;
  for (const [at, { name, through, tenant_column, references = {} }] of tables.entries()) {
    const path = `rows/tables/${at}`;
    if (tables.findIndex((one) => one.name === name) !== at) say(`${path}/name`, 'is there twice');
    if (through !== undefined && tenant_column !== undefined) {
      say(`${path}/through`, 'does not go with tenant_column');
    }
    if (through === undefined) continue;
    const to = references[through]?.split('.')[0];
    if (to !== undefined && !tables.some((one) => one.name === to)) {
      say(`${path}/through`, `refers to ${to}, which is not among the tables`);
    }
  }
  return faults;
}
