import { Uuid } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { ErrorObject } from 'ajv';

/** One thing that is wrong with a request, and where: `body/config_paths/0`, `query/page`. */
export interface Fault {
  path: string;
  message: string;
}

/** More are counted, not listed. */
const LISTED = 50;

/** The refusal of a request for these faults. Messages must not repeat values: they may be secrets. */
export function invalid(faults: Fault[]): AppError {
  const named = faults.slice(0, 3).map((fault) => `${fault.path} ${fault.message.replace(/\.$/, '')}`);
  const more = faults.length > 3 ? `; and ${faults.length - 3} more, see details` : '';
  return new AppError('VALIDATION_FAILED', `The request is not valid: ${named.join('; ')}${more}.`, {
    details: faults.slice(0, LISTED),
  });
}

/** What Ajv found, in plain words. */
export function toFaults(part: string, errors: readonly ErrorObject[]): Fault[] {
  const faults = errors.filter((error) => error.keyword !== 'if').map((error) => toFault(part, error));
  const seen = new Set<string>();
  return faults.filter((fault) => {
    const key = `${fault.path} ${fault.message}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

function toFault(part: string, error: ErrorObject): Fault {
  const path = `${part}${error.instancePath}`;
  const params = error.params as Record<string, unknown>;
  const schema = (error.parentSchema ?? {}) as Record<string, unknown>;
  switch (error.keyword) {
    case 'required':
      return { path: `${path}/${pointer(params.missingProperty)}`, message: 'is required' };
    case 'additionalProperties':
      return { path: `${path}/${pointer(params.additionalProperty)}`, message: 'is not a known field' };
    case 'enum':
      return { path, message: `must be one of: ${list(params.allowedValues)}` };
    case 'const':
      return { path, message: `must be ${JSON.stringify(params.allowedValue)}` };
    case 'discriminator':
      return { path: `${path}/${String(params.tag)}`, message: tagMessage(schema, String(params.tag)) };
    case 'pattern':
      return { path, message: patternMessage(String(error.schema), schema.description) };
    default:
      return { path, message: error.message ?? 'is not valid' };
  }
}

function tagMessage(schema: Record<string, unknown>, tag: string): string {
  const branches = Array.isArray(schema.oneOf) ? (schema.oneOf as Branch[]) : [];
  return `must be one of: ${list(branches.map((branch) => branch.properties?.[tag]?.const))}`;
}

/** A description tells what is expected, but for patterns of fields whose description tells what they are for. */
function patternMessage(pattern: string, description: unknown): string {
  return EXPECTED[pattern] ?? `must be: ${String(description ?? `text like ${pattern}`)}`;
}

const EXPECTED: Record<string, string> = {
  [String((Uuid as { pattern?: string }).pattern)]: 'must be a UUID',
  '^/': 'must be an absolute path',
  '^/[^\\u0000]*$': 'must be an absolute path',
};

interface Branch {
  properties?: Record<string, { const?: unknown }>;
}

function list(values: unknown): string {
  return Array.isArray(values) ? values.map(String).join(', ') : '';
}

/** A field's name as a part of a JSON pointer (RFC 6901). */
function pointer(name: unknown): string {
  return String(name).slice(0, 200).replace(/~/g, '~0').replace(/\//g, '~1');
}
