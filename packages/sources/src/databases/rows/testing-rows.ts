/** What the tests of rows share: the twelve tables on a real server, and what is in them. */
import { Readable } from 'node:stream';
import type { RowsSelection, RowsTable, RowsTarget } from '@tarfleet/contracts';
import { type RunningPostgres, TWELVE_TABLE_SETTINGS } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { calm } from '../../files/testing-sessions.ts';
import type { PrepareOptions } from '../../types.ts';
import { type CapturedDatabase, databaseService } from '../testing-captures.ts';

export const PASSWORD = "rows-canary:'\\x";

interface Given {
  name: string;
  through?: string;
  generated?: string[];
  references?: Record<string, string>;
}

export const TABLES: RowsTable[] = (TWELVE_TABLE_SETTINGS.tables as Given[]).map(
  ({ name, through = null, generated = [], references = {} }) => ({
    ...{ schema: 'public', name, through, generated, key: null },
    tenantColumn: through === null ? TWELVE_TABLE_SETTINGS.tenant_column : null,
    references: Object.entries(references).map(([column, to]) => {
      const [table = '', target = ''] = to.split('.');
      return { column, table, target };
    }),
  }),
);

export function rowsTarget(
  { port }: Pick<RunningPostgres, 'port'>,
  tenant: number | string,
  more: Partial<RowsTarget> & { tables?: RowsSelection['tables'] } = {},
): RowsTarget {
  const { tables = TABLES, ...rest } = more;
  const project = { id: Number(tenant), name: `Project ${tenant}`, automatic: false };
  return {
    ...{ type: 'rows', host: '127.0.0.1', port, user: 'postgres', secrets: null, runAs: null, binDir: null },
    ...{ database: 'cloudbox', rows: { tenant: String(tenant), tables, project } },
    ...rest,
  };
}

export function restoreOptions(
  session: Session,
  target: RowsTarget,
  captured: Pick<CapturedDatabase, 'facts' | 'tar'>,
  jobId: string,
  { dropExisting = false, signal = calm() } = {},
): PrepareOptions {
  return {
    ...{ session, signal, warn: () => undefined, service: databaseService(target) },
    ...{ database: { facts: captured.facts, dropExisting }, jobId },
    openTar: async () => Readable.from([captured.tar]),
    ...{ roots: null, extras: [], restorePath: null, overwrite: true, keep: [] },
    needs: { bytes: 0, files: 0 },
    onEntry: () => undefined,
  };
}

const OWN: Record<string, string> = {
  documents: 'collection_id IN (SELECT id FROM collections WHERE %)',
  function_domains: 'function_id IN (SELECT id FROM functions WHERE %)',
};

/** Every row of the twelve tables for which this is said of the project, as text; with where and by whom it was written. */
export async function rowsOf(
  postgres: RunningPostgres,
  which: string,
  { physical = false } = {},
): Promise<string> {
  const queries = TABLES.map(({ name }) => {
    const where = (OWN[name] ?? '%').replace('%', which);
    const row = physical ? `t.ctid::text || t.xmin::text || t::text` : 't::text';
    return `SELECT '${name}', ${row} AS r FROM ${name} t WHERE ${where}`;
  });
  return postgres.sql('cloudbox', `${queries.join(' UNION ALL ')} ORDER BY 1, 2`);
}

/** What hangs on what in a project, by names alone: the same for a copy under new keys. */
export async function shapeOf(postgres: RunningPostgres, id: number): Promise<string> {
  return postgres.sql(
    'cloudbox',
    `SELECT 'c', c.name, cover.title, c.schema::text, '' FROM collections c LEFT JOIN documents cover ON cover.id = c.cover_id WHERE c.project_id = ${id}
    UNION ALL SELECT 'd', c.name, d.title, coalesce(p.title, '-'), concat(d.data::text, d.data IS NULL, d.version, d.created_at)
      FROM documents d JOIN collections c ON c.id = d.collection_id LEFT JOIN documents p ON p.id = d.parent_id WHERE c.project_id = ${id}
    UNION ALL SELECT 'f', f.name, d.title, f.tags::text, concat(f.content, f.size, f.name_length) FROM files f LEFT JOIN documents d ON d.id = f.document_id WHERE f.project_id = ${id}
    UNION ALL SELECT 'fd', f.name, f.code, x.domain, '' FROM functions f JOIN function_domains x ON x.function_id = f.id WHERE f.project_id = ${id}
    UNION ALL SELECT 'dep', d.label, p.label, w.host, concat(r.url, k.name, k.private_key, u.email) FROM deployments d LEFT JOIN deployments p ON p.id = d.previous_id
      LEFT JOIN web_servers w ON w.id = d.server_id LEFT JOIN ssh_keys k ON k.id = w.ssh_key_id
      LEFT JOIN github_repositories r ON r.id = d.repository_id LEFT JOIN users u ON u.id = r.owner_id WHERE d.project_id = ${id}
    UNION ALL SELECT 'k', name, u.email, '', '' FROM api_keys a JOIN users u ON u.id = a.created_by WHERE a.project_id = ${id}
    UNION ALL SELECT 'cors', origins::text, enabled::text, '', '' FROM cors_configs WHERE project_id = ${id}
    UNION ALL SELECT 'a', d.title, l.detail::text, l.at::text, concat(l.took, l.big, l.ratio) FROM audit_logs l LEFT JOIN documents d ON d.id = l.document_id WHERE l.project_id = ${id}
    ORDER BY 1, 2, 3, 4, 5`,
  );
}
