import type { DestinationRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { type Fault, invalid } from '../../plugins/faults.ts';
import { createBodyReader } from '../../plugins/validation.ts';
import { fieldsOf, toShown } from '../../routes/destinations/config.ts';
import { DestinationChangesBody, NewDestinationBody } from '../../routes/destinations/schemas.ts';
import type { ChangesBody, NewBody } from './destination-schemas.ts';

const readNew = createBodyReader(NewDestinationBody);
const readChanges = createBodyReader(DestinationChangesBody);

/** The request as `POST /api/destinations` takes it, held to the same schema. */
export function toNewDestination(body: NewBody, defaultDays: number): NewDestinationBody {
  const { test_connection: _test, pool: _pool, ...rest } = body;
  return readNew({
    ...rest,
    retention_days: body.retention_days ?? defaultDays,
    config: toOwn(body.type, body.config),
  });
}

/** The request as `PATCH /api/destinations/:id` takes it. */
export function toChanges(body: ChangesBody, type: string): DestinationChangesBody {
  const { test_connection: _test, pool: _pool, type: asked = type, config, ...rest } = body;
  if (asked !== type) throw invalid([{ path: 'body/type', message: `cannot be changed: it is ${type}` }]);
  return readChanges({ ...rest, ...(config === undefined ? {} : { config: toOwn(type, config) }) });
}

/** What `check` finds wrong with the folder is said of the field that was sent: `base_path`, but where that was `path`. */
export async function ofBasePath<T>(
  sent: object | undefined,
  type: string,
  check: () => T | Promise<T>,
): Promise<T> {
  try {
    return await check();
  } catch (error) {
    const isOther = sent !== undefined && 'path' in sent;
    const faults = error instanceof AppError && error.code === 'VALIDATION_FAILED' ? error.details : null;
    if (isOther || !Array.isArray(faults) || !fieldsOf(type).config.includes('path')) throw error;
    throw invalid(
      (faults as Fault[]).map((fault) =>
        fault.path === 'body/config/path' ? { ...fault, path: 'body/config/base_path' } : fault,
      ),
    );
  }
}

/** The document's `base_path` is the folder of a destination that has one. */
function toOwn(type: string, config: object): object {
  const { base_path: basePath, ...rest } = config as { base_path?: unknown; path?: unknown };
  if (basePath === undefined || !fieldsOf(type).config.includes('path')) return config;
  if (rest.path !== undefined) {
    throw invalid([{ path: 'body/config/path', message: 'is another way to say base_path: send one' }]);
  }
  return { ...rest, path: basePath };
}

export function viewDestination(destination: DestinationRecord) {
  const { path, ...config } = toShown(destination.config);
  const { testedAt, testError } = destination;
  return {
    id: destination.id,
    name: destination.name,
    type: destination.type as NewBody['type'],
    config: { ...config, ...(path === undefined ? {} : { base_path: path }) },
    has_credentials: destination.secretCiphertext !== null,
    enabled: destination.enabled,
    is_default: destination.isDefault,
    retention_days: destination.retentionDays,
    status:
      testedAt === null ? ('unknown' as const) : testError === null ? ('ok' as const) : ('failed' as const),
    status_message: testError,
    status_checked_at: testedAt?.toISOString() ?? null,
    created_at: destination.createdAt.toISOString(),
    updated_at: destination.updatedAt.toISOString(),
  };
}
