import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { buildTestApp, type TestApp } from '../testing/test-app.ts';

interface Answer {
  description: string;
  headers?: Record<string, unknown>;
}
interface Operation {
  summary?: string;
  description?: string;
  'x-access': string;
  'x-audit'?: string;
  tags?: string[];
  security?: unknown[];
  responses: Record<string, Answer>;
  parameters?: { name: string; in: string }[];
  requestBody?: { required?: boolean; content: Record<string, { schema: object }> };
}
type Document = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
};

let t: TestApp;
let document: Document;
beforeAll(async () => {
  t = await buildTestApp();
  document = (await t.ask('GET', '/openapi.json')).json<Document>();
});
afterAll(() => t.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test('the description is valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
  expect(validator.version).toBe('3.1');
});

test('every route is described: summary, tag, answers, and the shape of errors', () => {
  expect(operations().length).toBeGreaterThan(35);
  for (const { path, method, operation } of operations()) {
    const name = `${method} ${path}`;
    expect([name, typeof operation.summary, operation.tags?.length]).toEqual([name, 'string', 1]);
    expect([name, Object.keys(operation.responses)]).toEqual([name, expect.arrayContaining(['default'])]);
    expect([name, Object.keys(operation.responses).length > 1]).toEqual([name, true]);
  }
});

test('every POST that makes something takes an Idempotency-Key', () => {
  const posts = operations().filter(
    ({ method, path }) => method === 'post' && !/\/(login|logout)$/.test(path),
  );
  for (const { path, operation } of posts.filter((one) => '201' in one.operation.responses)) {
    const headers = operation.parameters?.filter((one) => one.in === 'header').map((one) => one.name);
    expect([path, headers]).toEqual([path, expect.arrayContaining(['idempotency-key'])]);
  }
});

const WAITING = [
  'delete /api/backup/{id}',
  'delete /api/backups/{id}',
  'post /api/admin/backup/destinations/{id}/test',
  'post /api/admin/backup/restore',
  'post /api/admin/backup/schedule/{job_id}/trigger',
  'post /api/admin/backup/trigger',
  'post /api/backup/create',
  'post /api/backups/create',
  'post /api/backups/restore',
  'post /api/backups/restore-jobs/{id}/rollback',
  'post /api/backups/verify/{backup_id}',
  'post /api/backups/{id}/copies',
  'post /api/backups/{id}/restore',
  'post /api/backups/{id}/rewrap',
  'post /api/backups/{id}/verify',
  'post /api/destinations/test',
  'post /api/destinations/{id}/test',
  'post /api/destinations/{id}/unknown-objects',
  'post /api/projects/{id}/backups',
  'post /api/restore/create',
  'post /api/servers/{id}/reseal',
  'post /api/servers/{id}/test',
];
const takes = (operation: Operation, header: string): boolean =>
  operation.parameters?.some((one) => one.in === 'header' && one.name === header) ?? false;

test('Prefer is described where it is honoured, and nowhere else', () => {
  const waiting = operations().filter(({ operation }) => takes(operation, 'prefer'));
  expect(waiting.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(WAITING);
  for (const { path, operation } of waiting) {
    for (const status of ['200', '202']) {
      const headers = Object.keys(operation.responses[status]?.headers ?? {});
      expect([path, headers]).toEqual([path, expect.arrayContaining(['location', 'preference-applied'])]);
    }
  }
});

test('answers name their headers, and errors their codes', () => {
  for (const { path, method, operation } of operations()) {
    const name = `${method} ${path}`;
    for (const [status, answer] of Object.entries(operation.responses)) {
      const headers = Object.keys(answer.headers ?? {});
      expect([name, status, headers]).toEqual([name, status, expect.arrayContaining(['x-request-id'])]);
      if (status === '201') expect([name, headers]).toEqual([name, expect.arrayContaining(['location'])]);
      if (status === '429') {
        const all = ['retry-after', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'];
        expect([name, headers]).toEqual([name, expect.arrayContaining(all)]);
        if (path !== '/api/users/{id}') expect(operation.description).toMatch(/At most \d+ requests/);
      }
    }
    if (takes(operation, 'idempotency-key')) {
      expect(operation.responses['422']?.description).toContain('`IDEMPOTENCY_KEY_REUSED`');
      const success = ['201', '202', '200'].find((status) => status in operation.responses) ?? '';
      expect(Object.keys(operation.responses[success]?.headers ?? {})).toContain('idempotency-replayed');
    }
  }
  for (const { operation } of operations()) {
    const { description: told = '', headers = {} } = operation.responses['409'] ?? {};
    const passes = /_IN_PROGRESS|KEY_IN_USE/.test(told);
    expect([operation.summary, 'retry-after' in headers]).toEqual([operation.summary, passes]);
  }
  const { responses, description } = document.paths['/api/backups/{id}/restore']!.post!;
  expect(responses['409']?.description).toContain('`RESTORE_IN_PROGRESS`');
  expect(responses['422']?.description).toContain('`ENCRYPTION_KEY_NOT_FOUND`');
  expect(responses['500']?.description).toContain('`RESTORE_FAILED`');
  expect(description).toContain('Needs the role: operator. At most 10 requests an hour for each user.');
});

test('every route that changes something, or gives out a backup’s content, has its name in the audit log', () => {
  const named = operations().filter(({ operation }) => operation['x-audit'] !== undefined);
  const changing = operations().filter(({ method, path }) => method !== 'get' || path.endsWith('/download'));
  expect(named).toEqual(changing);
  for (const { operation } of named) expect(operation['x-audit']).toMatch(/^[a-z]+\.[a-z_]+$/);
});

test('tags are spelled in one way', () => {
  const tags = new Set(operations().flatMap(({ operation }) => operation.tags ?? []));
  for (const tag of tags) expect(tag).toMatch(/^[A-Z]/);
});

test('a body that need not be there is not required', () => {
  expect(document.paths['/api/backups/{id}/restore']?.post?.requestBody?.required).toBe(false);
  expect(document.paths['/api/backups/create']?.post?.requestBody?.required).toBe(true);
});

test('the table of routes in docs/api.md is what the description says', async () => {
  const text = await readFile(new URL('../../../../docs/api.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(GET|POST|PATCH|PUT|DELETE) (\S+)` \| (.*?) \| (.*?) \| (.*?)\|$/gm)];
  const written = rows.map(([, method, path, summary, who, marks]) =>
    [method, path, summary, who, marks?.trim()].join(' | '),
  );
  const described = operations().map(({ path, method, operation }) => {
    const marks = [
      takes(operation, 'idempotency-key') ? 'I' : '',
      takes(operation, 'prefer') ? 'W' : '',
      /At most \d+ requests/.test(operation.description ?? '') ? 'R' : '',
    ];
    return [
      ...[method.toUpperCase(), path.replace(/\{(\w+)\}/g, ':$1'), operation.summary],
      ...[operation['x-access'], marks.filter(Boolean).join(' ')],
    ].join(' | ');
  });
  expect(written.sort()).toEqual(described.sort());
});

test('routes are closed unless the description says that they are open', async () => {
  for (const { path, method, operation } of operations()) {
    const url = path.replace('{userId}', crypto.randomUUID()).replace(/\{[^}]+\}/g, crypto.randomUUID());
    const answer = await t.app.inject({ method: method.toUpperCase() as 'GET', url });
    const open = operation.security?.length === 0;
    expect([method, path, answer.statusCode === 401]).toEqual([method, path, !open]);
  }
  const open = operations().filter(({ operation }) => operation.security?.length === 0);
  expect(open.map(({ path }) => path).sort()).toEqual(['/api/auth/login', '/healthz', '/metrics', '/readyz']);
});

test('request bodies are closed: a misspelled field is a fault', () => {
  const loose: string[] = [];
  const walk = (where: string, schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return;
    const node = schema as Record<string, unknown>;
    if (node.properties && node.additionalProperties === undefined) loose.push(where);
    for (const [name, child] of Object.entries(node)) walk(`${where}/${name}`, child);
  };
  for (const { path, method, operation } of operations()) {
    walk(`${method} ${path}`, operation.requestBody?.content['application/json']?.schema);
  }
  expect(loose).toEqual([]);
});

test('the page and its files come from here', async () => {
  const page = await t.ask('GET', '/docs/');
  expect(page.statusCode).toBe(200);
  expect(page.headers['content-type']).toContain('text/html');
  expect(page.headers['content-security-policy']).toContain("script-src 'self'");
  expect(page.body).not.toMatch(/https?:\/\//);
  const files = [...page.body.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map((match) => match[1]);
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) {
    expect([file, (await t.ask('GET', `/docs/${file}`)).statusCode]).toEqual([file, 200]);
  }
  const settings = await t.ask('GET', '/docs/static/swagger-initializer.js');
  expect(settings.body).toContain('/openapi.json');
  // No inline script: the page's policy forbids them.
  expect(page.body).not.toMatch(/<script[^>]*>\s*[^\s<]/);
});
