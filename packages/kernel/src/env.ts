import { readFileSync } from 'node:fs';
import { createParser } from '@tarfleet/contracts';
import type { Static, TObject } from 'typebox';
import { Value } from 'typebox/value';

/** Every fault of an environment at once, one a line, ready for stderr. */
export class EnvError extends Error {
  override readonly name = 'EnvError';
}

/**
 * A process's settings from its environment. `NAME_FILE` gives the content of a file (one trailing newline
 * removed) as `NAME`; both at once is a fault. Numbers and booleans are converted, defaults filled in.
 * Variables that the schema does not name are ignored. Throws EnvError naming every fault.
 */
export function parseEnv<S extends TObject>(schema: S, env: Record<string, string | undefined>): Static<S> {
  const faults: string[] = [];
  const raw: Record<string, unknown> = {};
  for (const name of Object.keys(schema.properties)) {
    const direct = env[name];
    const file = env[`${name}_FILE`];
    if (direct !== undefined && direct !== '' && file) {
      faults.push(`${name}: set either ${name} or ${name}_FILE, not both`);
    } else if (file) {
      try {
        raw[name] = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
      } catch (error) {
        faults.push(`${name}_FILE: cannot read ${file}: ${(error as Error).message}`);
      }
    } else if (direct !== undefined && direct !== '') {
      raw[name] = direct;
    }
  }
  const value = Value.Convert(schema, Value.Default(schema, raw));
  const parsed = createParser(schema)(value);
  if (!parsed.ok) faults.push(...parsed.faults.map((fault) => fault.replace(/^\//, '')));
  if (!parsed.ok || faults.length > 0) {
    throw new EnvError(`The environment is not usable:\n${faults.map((f) => `  ${f}`).join('\n')}`);
  }
  return parsed.value;
}
