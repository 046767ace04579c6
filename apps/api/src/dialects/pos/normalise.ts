/** Document 4's requests in our one form: pure functions, defaults included. */
import { invalid } from '../../plugins/faults.ts';
import { normaliseRestore, type RestoreWish } from '../../routes/backups/normalise.ts';
import type { BackupWish } from '../../routes/backups/start-backup.ts';
import type { CreateBody } from './backup-schemas.ts';
import type { RestoreBody } from './restore-schemas.ts';

/** As document 4 has it. */
const DEFAULT_DAYS = 30;
const LEVEL = 6;

/** What the document calls otherwise than documents 1 and 2 do. */
const OTHER_NAMES: Record<string, string> = { config: 'configurations' };

/** Components as they are called here: the document's own word where a service has it, else ours. */
export function ownNames(names: readonly string[], known: readonly string[]): string[] {
  const own = names.map((name) => {
    const other = OTHER_NAMES[name];
    return other !== undefined && !known.includes(name) && known.includes(other) ? other : name;
  });
  return [...new Set(own)];
}

/** `POST /api/backup/create`; `known` are the components that there are. */
export function normaliseCreate(body: CreateBody, known: readonly string[]): BackupWish {
  const partial = body.type === 'partial';
  if (partial && body.components === undefined) {
    throw invalid([{ path: 'body/components', message: 'is required when type is partial' }]);
  }
  const ignored = !partial && body.components !== undefined;
  return {
    ...(body.project_id === undefined ? {} : { projectId: body.project_id }),
    dialect: 'pos',
    type: 'full',
    name: body.name ?? null,
    description: null,
    components: partial && body.components ? ownNames(body.components, known) : null,
    services: null,
    serverId: body.server_id ?? null,
    destinationId: body.destination_id ?? null,
    retentionDays: body.retentionDays ?? DEFAULT_DAYS,
    verify: true,
    compression: { enabled: body.compress ?? true, level: LEVEL },
    deduplicate: false,
    encrypt: body.encrypt ?? true,
    warnings: ignored ? ['A full backup holds every component; components were not looked at.'] : [],
  };
}

/** `POST /api/restore/create`: what is there is replaced only with `overwrite`, files and databases alike. */
export function normaliseOverwrite({ overwrite = false }: RestoreBody): Omit<RestoreWish, 'services'> {
  const { services: _all, ...wish } = normaliseRestore({ overwrite, database: { dropExisting: overwrite } });
  return wish;
}
