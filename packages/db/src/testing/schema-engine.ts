// `schema-engine.ts <diff|diagnose|deploy> <database url> <migrations folder>`: the engine behind Prisma's migration
// commands, on a real database; its answer goes to stdout as JSON. The WebAssembly build, for the native one cannot
// be downloaded everywhere. A process of its own, for the engine's lock and timers last as long as its process.
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

const [command, url, migrationsDir] = process.argv.slice(2);
if (!command || !url || !migrationsDir) throw new Error('a command, a database and a folder are needed');
process.stdout.write(JSON.stringify(await run(command, url, migrationsDir)), () => process.exit());

async function run(what: string, database: string, dir: string): Promise<unknown> {
  await instantiate();
  const path = join(dir, '../schema.prisma');
  const files = [{ path: 'schema.prisma', content: await readFile(path, 'utf8') }];
  const adapter = bindMigrationAwareSqlAdapterFactory(
    withCharType(new pg.Pool({ connectionString: database })),
  );
  const datamodels = files.map((file): [string, string] => [file.path, file.content]);
  const engine = await glue.SchemaEngine.new({ datamodels }, () => undefined, adapter);
  const filters = { externalTables: [], externalEnums: [] };
  if (what === 'diff') {
    const from = { tag: 'schemaDatasource', files, configDir: dir } as const;
    const to = { tag: 'schemaDatamodel', files } as const;
    const diff = await engine.diff({ from, to, script: true, exitCode: true, filters });
    return diff.exitCode === 0 ? '' : diff.stdout;
  }
  const migrationsList = await readMigrations(dir);
  if (what === 'deploy') {
    return (await engine.applyMigrations({ migrationsList, filters })).appliedMigrationNames;
  }
  return engine.diagnoseMigrationHistory({ migrationsList, optInToShadowDatabase: false, filters });
}

async function instantiate(): Promise<void> {
  const file = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const code = await readFile(file.replace(/\.js$/, '.wasm'));
  const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly: WebAssemblyLike };
  const { instance } = await wasm.instantiate(code, { './schema_engine_bg.js': glue });
  (glue as unknown as { __wbg_set_wasm(exports: object): void }).__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

/** What is used of the global, which no library of ours declares. */
interface WebAssemblyLike {
  instantiate(
    code: Uint8Array,
    imports: Record<string, object>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
}

/**
 * The adapter does not know Postgres' one-byte `"char"` (18), which the engine reads from the catalogue: it is
 * sent on as text (25), and its column declared a character.
 */
function withCharType(pool: pg.Pool): PrismaPg {
  const CHARACTER = 6;
  const isChar = new WeakMap<object, boolean[]>();
  const query = pool.query.bind(pool) as (...given: unknown[]) => Promise<pg.QueryArrayResult>;
  Object.assign(pool, {
    async query(...given: unknown[]) {
      const result = await query(...given);
      isChar.set(
        result.rows,
        result.fields.map((field) => field.dataTypeID === 18),
      );
      for (const field of result.fields) if (field.dataTypeID === 18) field.dataTypeID = 25;
      return result;
    },
  });
  const factory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (statement) => {
      const result = await queryRaw(statement);
      const types = result.columnTypes.map((type, i) => (isChar.get(result.rows)?.[i] ? CHARACTER : type));
      return { ...result, columnTypes: types };
    };
    return adapter;
  };
  return factory;
}

async function readMigrations(baseDir: string): Promise<glue.MigrationList> {
  const entries = await readdir(baseDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const migrationDirectories = await Promise.all(
    names.sort().map(async (path) => {
      const value = await readFile(join(baseDir, path, 'migration.sql'), 'utf8');
      return { path, migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value } } };
    }),
  );
  const content = await readFile(join(baseDir, 'migration_lock.toml'), 'utf8');
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content },
    shadowDbInitScript: '',
    migrationDirectories,
  };
}
