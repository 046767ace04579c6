/** Document 5's words for destinations. */
import { DESTINATION_TYPES, PoolName } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { Name, nullable, PageQuery, strict, Timestamp, Uuid } from '../../routes/shapes.ts';

export const Count = Type.Integer({ minimum: 0 });

const Config = Type.Object(
  {},
  {
    additionalProperties: true,
    description:
      'As of POST /api/destinations; the folder of a local, sftp or ftp one is called base_path here',
  },
);
const common = {
  retention_days: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 36_500, description: 'Of the backups there that name none' }),
  ),
  enabled: Type.Optional(Type.Boolean({ description: 'Whether new backups may go there' })),
  is_default: Type.Optional(Type.Boolean()),
  test_connection: Type.Optional(
    Type.Boolean({
      default: true,
      description: 'false: it is saved without a look whether it can be reached',
    }),
  ),
  pool: Type.Optional(
    Type.Unsafe<string>({
      ...PoolName,
      description: 'Whose workers try the connection, as of POST /api/destinations/test; it is not saved',
    }),
  ),
};

export const NewBody = strict({
  ...common,
  name: Name,
  type: Type.Enum([...DESTINATION_TYPES]),
  config: Config,
});
export type NewBody = Static<typeof NewBody>;

export const ChangesBody = strict({
  ...common,
  name: Type.Optional(Name),
  type: Type.Optional(
    Type.Enum([...DESTINATION_TYPES], { description: 'Cannot be changed: the one that it has' }),
  ),
  config: Type.Optional(Config),
});
export type ChangesBody = Static<typeof ChangesBody>;

const Destination = strict({
  id: Uuid,
  name: Type.String(),
  type: Type.Enum([...DESTINATION_TYPES]),
  config: Type.Object({}, { additionalProperties: true, description: 'Without credentials' }),
  has_credentials: Type.Boolean(),
  enabled: Type.Boolean(),
  is_default: Type.Boolean(),
  retention_days: nullable(Count),
  status: Type.Enum(['unknown', 'ok', 'failed'], { description: 'Of the last test, as it is configured' }),
  status_message: nullable(Type.String()),
  status_checked_at: nullable(Timestamp),
  created_at: Timestamp,
  updated_at: Timestamp,
});

export const Pagination = strict({ page: Count, per_page: Count, total: Count, total_pages: Count });
export const ListQuery = strict(PageQuery);
export const ListAnswer = strict({
  success: Type.Literal(true),
  data: strict({ destinations: Type.Array(Destination), pagination: Pagination }),
});
export const OneAnswer = strict({
  success: Type.Literal(true),
  data: Destination,
  message: Type.Optional(Type.String()),
});
export const TestAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    destination_id: Uuid,
    job_id: Uuid,
    reachable: nullable(Type.Boolean()),
    writable: nullable(Type.Boolean()),
    latency_ms: nullable(Type.Number()),
    error: nullable(strict({ code: Type.String(), message: Type.String() })),
  }),
  message: Type.String(),
});
