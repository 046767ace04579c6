import { type Static, Type } from 'typebox';
import { nullable, strict } from '../shapes.ts';
import { Argv } from './run-schemas.ts';

/** Of a database, a user, a host: one line. */
const Word = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^\\P{Cc}+$',
  description: 'one line of text',
});
const Words = Type.Array(Word, { maxItems: 1000 });
const AbsolutePath = Type.String({ minLength: 1, maxLength: 4096 });

/** A table or a column. */
const Name = Type.String({
  minLength: 1,
  maxLength: 63,
  pattern: '^[^.\\p{Cc}]+$',
  description: 'a name without dots',
});
const RowsTableBody = strict({
  name: Name,
  schema: Type.Optional(Name),
  tenant_column: Type.Optional(Name),
  through: Type.Optional(Name),
  key: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 32, uniqueItems: true })),
  references: Type.Optional(
    Type.Record(
      Name,
      Type.String({
        maxLength: 127,
        pattern: '^[^.\\p{Cc}]+\\.[^.\\p{Cc}]+$',
        description: 'a table and a column: collections.id',
      }),
      { maxProperties: 100 },
    ),
  ),
  generated: Type.Optional(Type.Array(Name, { maxItems: 100, uniqueItems: true })),
});
const Rows = strict({
  tenant_column: Type.Optional(Name),
  tenant: Type.Optional(
    Type.Union([Word, Type.Integer()], {
      description: 'What that column holds in this tenant’s rows; left out, the id of the server’s project',
    }),
  ),
  tables: Type.Array(RowsTableBody, { minItems: 1, maxItems: 500 }),
});

const fields = {
  host: Type.Optional(
    nullable(
      Type.String({
        maxLength: 255,
        pattern: '^(/|[A-Za-z0-9])\\P{Cc}*$',
        description:
          'as the server sees it: a host, or the absolute path of the socket (of its folder for postgres); left out, the tools’ own default',
      }),
    ),
  ),
  port: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 65_535 }))),
  username: Type.Optional(nullable(Word)),
  databases: Type.Optional(
    nullable(
      Type.Array(Word, {
        minItems: 1,
        maxItems: 1000,
        description: 'Their names; left out, all that are there',
      }),
    ),
  ),
  schema_only: Type.Optional(Type.Boolean({ description: 'Definitions without rows; false when left out' })),
  include_tables: Type.Optional(Words),
  exclude_tables: Type.Optional(Words),
  rows: Type.Optional(nullable(Rows)),
  roles: Type.Optional(Type.Boolean({ description: 'postgres: its roles, too; true when left out' })),
  path: Type.Optional(nullable(AbsolutePath)),
  run_as: Type.Optional(
    nullable(
      Type.String({
        maxLength: 100,
        pattern: '^[A-Za-z_][A-Za-z0-9_.-]*\\$?$',
        description: 'a user of the operating system: letters, digits, dots, dashes and underscores',
      }),
    ),
  ),
  bin_dir: Type.Optional(nullable(AbsolutePath)),
};

export const DatabaseBody = strict({
  ...fields,
  password: Type.Optional(
    nullable(
      Type.String({
        minLength: 1,
        maxLength: 1000,
        pattern: '^[^\\u0000\\r\\n]+$',
        description: 'one line of text. Left out, the one that is stored stays; null takes it away',
      }),
    ),
  ),
});
export type DatabaseBody = Static<typeof DatabaseBody>;

export const DatabaseView = strict({
  host: nullable(Type.String()),
  port: nullable(Type.Integer()),
  username: nullable(Type.String()),
  has_password: Type.Boolean(),
  databases: nullable(Type.Array(Type.String())),
  schema_only: Type.Boolean(),
  include_tables: Type.Array(Type.String()),
  exclude_tables: Type.Array(Type.String()),
  rows: nullable(Rows),
  roles: Type.Boolean(),
  path: nullable(Type.String()),
  run_as: nullable(Type.String()),
  bin_dir: nullable(Type.String()),
});

const Hook = strict({
  command: Argv,
  timeout_seconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3600,
      description: 'How many seconds it may take; 60 when left out',
    }),
  ),
});
export const Hooks = strict({
  before: Type.Optional(nullable(Hook)),
  after: Type.Optional(nullable(Hook)),
});
export type Hooks = Static<typeof Hooks>;
