// Packages on the registry that are ES modules only: jest's CommonJS runtime needs them compiled too.
const esmOnly = [
  'typebox',
  'jose',
  'get-port',
  'uuid',
  '@hpke',
  '@noble',
  '@fastify\\+type-provider-typebox',
  '@fastify\\+cookie',
  'cookie',
  'content-disposition',
  '@seriousme\\+openapi-schema-validator',
];

/** Started by packages/testbed/src/run-tests.ts, which runs the real servers and tells where they are. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/apps', '<rootDir>/packages', '<rootDir>/e2e', '<rootDir>/scripts'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.(ts|js|mjs)$': [
      '@swc/jest',
      {
        jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  transformIgnorePatterns: [`node_modules/\\.pnpm/(?!(${esmOnly.join('|')})[@+])`],
  testTimeout: 60_000,
  maxWorkers: 2,
  errorOnDeprecated: true,
};
