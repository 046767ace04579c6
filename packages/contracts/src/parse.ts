import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

export type Parsed<T> = { ok: true; value: T } | { ok: false; faults: string[] };

/**
 * A parser for data that comes off a queue, a disk, a bucket or a server. Compiled once per schema;
 * never throws, and names each fault by its path. The value is returned as it was, not copied.
 */
export function createParser<S extends TSchema>(schema: S): (value: unknown) => Parsed<Static<S>> {
  let compiled: Validator | undefined;
  return (value) => {
    compiled ??= Compile(schema) as unknown as Validator;
    if (compiled.Check(value)) return { ok: true, value: value as Static<S> };
    const faults = [...compiled.Errors(value)]
      .slice(0, 20)
      .map((fault) => `${fault.instancePath || '/'} ${fault.message}`);
    return { ok: false, faults };
  };
}
