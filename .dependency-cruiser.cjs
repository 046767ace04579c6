// Who may import whom. `pnpm check` runs these rules, and proves on a copy of the tree that they find what they
// forbid (scripts/check/imports-proof.mjs). CONTRIBUTING.md shows the same table to people.

const base = ['contracts', 'kernel'];

/** Each room under packages/, and the rooms that it may import. */
const rooms = {
  contracts: [],
  kernel: ['contracts'],
  queue: base,
  db: base,
  vault: base,
  archive: base,
  transport: base,
  storage: base,
  sources: [...base, 'transport', 'archive'],
  services: [...base, 'transport'],
  sdk: ['contracts'],
  stack: [...base, 'db', 'queue', 'vault'],
  testbed: [...base, 'stack'],
};

/** Each process. An app is imported by nobody, and a worker never sees the database. */
const apps = {
  api: [...base, 'queue', 'db', 'vault', 'storage'],
  worker: [...base, 'queue', 'vault', 'archive', 'transport', 'sources', 'services', 'storage'],
};

/** What measures and tries the whole system. */
const outside = [...base, 'testbed', 'stack', 'queue', 'db', 'archive'];

/**
 * Libraries that one room alone may import; all others speak to that room. ssh2 has a second: an SFTP destination is no
 * server on which commands are run, and storage, which every API process has too, may know nothing of transport.
 */
const owned = {
  queue: 'bullmq|ioredis',
  db: '@prisma',
  transport: 'ssh2',
  storage: '@aws-sdk/client-s3|@aws-sdk/s3-request-presigner|@azure/storage-blob|basic-ftp',
  vault: '@aws-sdk/client-kms',
};

const alsoOwned = { transport: 'storage' };

/** Tests, and what several tests of a room share (a `testing` folder, `testing.ts`, `testing-x.ts`, `test-support.ts`). */
const tests = '\\.test\\.ts$|/testing/[^/]+\\.ts$|/(testing|testing-[a-z0-9-]+|test-support)\\.ts$';
/** Any room, or the name of one that this package does not declare (which does not resolve to a path). */
const anyRoom = '^(packages|apps|bench|e2e|prisma)/|^@tarfleet/';

function only(name, folder, allowed, { testsToo = false } = {}) {
  const names = allowed.join('|') || '-';
  return {
    name: `room-${name}`,
    comment: `${folder} may import ${allowed.join(', ') || 'no other room'}.`,
    severity: 'error',
    from: { path: `^${folder}/`, ...(testsToo ? {} : { pathNot: tests }) },
    to: { path: anyRoom, pathNot: `^${folder}/|^packages/(${names})/|^@tarfleet/(${names})$` },
  };
}

function ownership([room, libraries]) {
  return {
    name: `only-${room}-imports-its-library`,
    comment: `Only packages/${room} imports ${libraries.replaceAll('|', ' and ')}; import @tarfleet/${room} instead.`,
    severity: 'error',
    from: {
      path: '^(apps|packages|bench|e2e)/',
      pathNot: `^packages/(${[room, alsoOwned[room]].filter(Boolean).join('|')})/`,
    },
    to: { path: `(^|node_modules/)(@types/)?(${libraries})(/|$)` },
  };
}

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...Object.entries(rooms).map(([name, allowed]) => only(name, `packages/${name}`, allowed)),
    ...Object.entries(apps).map(([name, allowed]) => only(name, `apps/${name}`, allowed)),
    only('bench', 'bench', outside, { testsToo: true }),
    only('e2e', 'e2e', outside, { testsToo: true }),
    ...Object.entries(owned).map(ownership),
    {
      name: 'apps-are-imported-by-nobody',
      comment: 'Apps meet only through contracts and the queue. This holds for tests too.',
      severity: 'error',
      from: { path: '^(?:apps/([^/]+)|[^/]+)/' },
      to: {
        path: `^apps/|^@tarfleet/(${Object.keys(apps).join('|')}|web|cli)$`,
        pathNot: '^apps/$1/',
      },
    },
    {
      name: 'product-never-imports-tests',
      comment: 'What tests share stays among tests.',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: tests },
      to: { path: `^(apps|packages)/.*(${tests})` },
    },
    {
      name: 'contracts-import-typebox-alone',
      comment: 'Contracts are read by every process, browsers included.',
      severity: 'error',
      from: { path: '^packages/contracts/', pathNot: tests },
      to: { pathNot: '^packages/contracts/|^@tarfleet/|(^|node_modules/)typebox(/|$)' },
    },
    {
      name: 'rooms-have-one-door',
      comment: 'Another room is entered by its name (@tarfleet/x), which leads to its src/index.ts.',
      severity: 'error',
      from: { path: '^(apps/[^/]+|packages/[^/]+|bench|e2e)/' },
      to: { path: anyRoom, pathNot: '^$1/|^packages/[^/]+/src/index\\.ts$|^@tarfleet/[^/]+$' },
    },
    {
      name: 'tools-stand-alone',
      comment: 'A tool must run where nothing is left of the rest: it imports what Node.js itself has.',
      severity: 'error',
      from: { path: '^tools/' },
      to: { dependencyTypesNot: ['core'] },
    },
    {
      name: 'no-circular-imports',
      comment: 'Move what both need into a file that neither is.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable-imports',
      comment: 'No such file, or a package that this package.json does not declare.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'product-imports-what-it-declares',
      comment:
        'Declare it in the dependencies of this package.json: a production install leaves all else out.',
      severity: 'error',
      from: { path: '^(apps|packages|bench|e2e)/', pathNot: tests },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    // Type-only imports count too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    doNotFollow: { path: 'node_modules' },
    // The generated client is the generator's matter, and built apps are all rooms in one; what imports them is ours.
    exclude: { path: '^packages/db/src/generated/|^(apps|packages)/[^/]+/dist/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
