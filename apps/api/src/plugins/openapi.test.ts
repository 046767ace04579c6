import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { buildTestApp, type TestApp } from '../testing/test-app.ts';

interface Operation {
  summary?: string;
  tags?: string[];
  security?: unknown[];
  responses: Record<string, unknown>;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: object }> };
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
