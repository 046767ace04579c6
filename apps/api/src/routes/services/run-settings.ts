import type { ServiceRecord } from '@tarfleet/db';
import type { RunSettings } from './run-schemas.ts';

const NONE: RunSettings = {
  container: null,
  compose: null,
  unit: null,
  stop: null,
  start: null,
  status: null,
  health_check: null,
};
const FIELDS = Object.keys(NONE) as (keyof RunSettings)[];

/** What is stored was checked against the schemas before. */
export function readRun(settings: ServiceRecord['settings']): RunSettings {
  return pick(settings as Partial<RunSettings>, NONE);
}

/**
 * What a request makes of the settings: what it names is replaced as a whole, null takes it away, what it leaves out
 * stays. With another type nothing stays: what one type is run by says nothing to the other.
 */
export function changeRun(
  body: Partial<RunSettings>,
  stored: RunSettings | null,
  sameType: boolean,
): RunSettings {
  return pick(body, stored && sameType ? stored : NONE);
}

function pick(from: Partial<RunSettings>, otherwise: RunSettings): RunSettings {
  const picked = FIELDS.map((field) => [field, from[field] === undefined ? otherwise[field] : from[field]]);
  return Object.fromEntries(picked) as unknown as RunSettings;
}
