// Files that the proof plants. Their names are such that no real file has them.

const room = (folder) => ({ [`@tarfleet/${folder.split('/')[1]}`]: folder });
/** Where pnpm keeps one version of everything, whoever declared it. */
const library = (name) => ({ [name]: `.pnpm/node_modules/${name}` });

let count = 0;
const planted = (folder, name = 'planted') => `${folder}/src/${name}-${++count}.ts`;

/** `from` imports the room `to`, which is installed there, and the rule that must find it. */
function roomImport(from, to, rule = `room-${from.split('/').pop()}`, name = 'planted') {
  const [target] = Object.keys(room(to));
  return { file: planted(from, name), code: `import '${target}';`, installed: room(to), rule };
}

function libraryImport(from, name, rule, specifier = name) {
  return { file: planted(from), code: `import '${specifier}';`, installed: library(name), rule };
}

const appsRule = 'apps-are-imported-by-nobody';
const doorRule = 'rooms-have-one-door';
const declaredRule = 'product-imports-what-it-declares';

export const forbidden = [
  // The table: one arrow too many from every room.
  roomImport('packages/contracts', 'packages/kernel'),
  roomImport('packages/kernel', 'packages/vault'),
  roomImport('packages/queue', 'packages/db'),
  roomImport('packages/db', 'packages/queue'),
  roomImport('packages/vault', 'packages/archive'),
  roomImport('packages/archive', 'packages/storage'),
  roomImport('packages/transport', 'packages/vault'),
  roomImport('packages/storage', 'packages/transport'),
  roomImport('packages/sources', 'packages/storage'),
  roomImport('packages/services', 'packages/sources'),
  roomImport('packages/sdk', 'packages/kernel'),
  roomImport('packages/stack', 'packages/storage'),
  roomImport('packages/testbed', 'packages/db'),
  roomImport('apps/api', 'packages/transport'),
  roomImport('apps/api', 'packages/archive'),
  roomImport('apps/api', 'packages/services'),
  roomImport('apps/worker', 'packages/db'),
  roomImport('bench', 'packages/vault'),
  roomImport('e2e', 'packages/storage'),
  {
    file: 'tools/planted.mjs',
    code: "import '../packages/archive/src/index.ts';",
    rule: 'tools-stand-alone',
  },
  // Test servers stay out of the product.
  roomImport('packages/queue', 'packages/testbed'),
  roomImport('apps/worker', 'packages/testbed'),
  {
    file: planted('packages/vault'),
    code: "import './testing/planted.ts';",
    rule: 'product-never-imports-tests',
  },
  { file: planted('apps/api'), code: "import './planted.test.ts';", rule: 'product-never-imports-tests' },
  // Every way to write an import.
  {
    file: planted('apps/worker'),
    code: "export async function load(): Promise<unknown> { return import('@tarfleet/db'); }",
    installed: room('packages/db'),
    rule: 'room-worker',
  },
  {
    file: planted('apps/worker'),
    code: "import type * as db from '@tarfleet/db';\nexport type Db = typeof db;",
    installed: room('packages/db'),
    rule: 'room-worker',
  },
  {
    file: planted('apps/worker'),
    code: "export * from '../../../packages/db/src/index.ts';",
    rule: 'room-worker',
  },
  // A room that is not even installed.
  { file: planted('packages/kernel'), code: "import '@tarfleet/storage';", rule: 'room-kernel' },
  { file: planted('packages/kernel'), code: "import '@tarfleet/storage';", rule: 'no-unresolvable-imports' },
  // Apps, also from tests.
  roomImport('apps/api', 'apps/worker', appsRule),
  roomImport('apps/worker', 'apps/api', appsRule),
  roomImport('packages/stack', 'apps/api', appsRule),
  roomImport('e2e', 'apps/worker', appsRule),
  {
    file: 'apps/api/src/planted.test.ts',
    code: "import '@tarfleet/worker';",
    installed: room('apps/worker'),
    rule: appsRule,
  },
  // Libraries with one owner.
  libraryImport('packages/storage', 'bullmq', 'only-queue-imports-its-library'),
  libraryImport('apps/api', 'ioredis', 'only-queue-imports-its-library'),
  libraryImport('packages/stack', '@prisma/client', 'only-db-imports-its-library'),
  libraryImport('packages/sources', 'ssh2', 'only-transport-imports-its-library'),
  libraryImport('apps/worker', '@aws-sdk/client-s3', 'only-storage-imports-its-library'),
  libraryImport('packages/storage', '@aws-sdk/client-kms', 'only-vault-imports-its-library'),
  { file: planted('apps/worker'), code: "import 'bullmq';", rule: 'only-queue-imports-its-library' },
  // Contracts lean on typebox alone.
  libraryImport('packages/contracts', 'pino', 'contracts-import-typebox-alone'),
  { file: planted('packages/contracts'), code: "import 'node:fs';", rule: 'contracts-import-typebox-alone' },
  // Side doors.
  { file: planted('packages/queue'), code: "import '../../kernel/src/retry.ts';", rule: doorRule },
  { file: 'packages/queue/src/planted.test.ts', code: "import '../../kernel/src/retry.ts';", rule: doorRule },
  // Circles. Each is reported once, from either end.
  { file: 'packages/kernel/src/planted-a.ts', code: "import './planted-b.ts';", rule: 'no-circular-imports' },
  { file: 'packages/kernel/src/planted-b.ts', code: "import './planted-a.ts';", rule: 'no-circular-imports' },
  // What is not there, and what this package.json does not declare, or only for development.
  {
    file: planted('packages/kernel'),
    code: "import './planted-nowhere.ts';",
    rule: 'no-unresolvable-imports',
  },
  { file: planted('packages/kernel'), code: "import 'planted-nowhere';", rule: 'no-unresolvable-imports' },
  { file: planted('packages/kernel'), code: "import '@jest/globals';", rule: declaredRule },
];

export const allowed = [
  roomImport('packages/sources', 'packages/transport'),
  roomImport('packages/sources', 'packages/archive'),
  roomImport('packages/stack', 'packages/db'),
  roomImport('packages/testbed', 'packages/stack'),
  roomImport('apps/api', 'packages/db'),
  roomImport('apps/worker', 'packages/sources'),
  roomImport('packages/services', 'packages/transport'),
  roomImport('e2e', 'packages/testbed'),
  roomImport('bench', 'packages/archive'),
  libraryImport('packages/queue', 'bullmq'),
  libraryImport('packages/db', '@prisma/client'),
  libraryImport('packages/contracts', 'typebox'),
  { file: planted('packages/storage'), code: "import 'node:fs';" },
  // Tests may use what they need of other rooms.
  {
    file: 'packages/storage/src/planted.test.ts',
    code: "import '@tarfleet/testbed';\nimport '@tarfleet/vault';\nimport '@jest/globals';",
    installed: { ...room('packages/testbed'), ...room('packages/vault') },
  },
  {
    file: 'packages/vault/src/testing/planted.ts',
    code: "import '@tarfleet/testbed';",
    installed: room('packages/testbed'),
  },
];
