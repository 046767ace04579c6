import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { Type } from 'typebox';
import type { Api } from '../api-type.ts';
import { describeRoute } from './describe-route.ts';
import { ErrorBody } from './error-body.ts';
import type { Bucket, Limit } from './rate-limits.ts';

const DESCRIPTION = `Backs up, verifies and restores whole servers.

Submitting a job answers at once with 202 and a Location; \`Prefer: wait=N\` (at most 60 seconds) holds the answer
until the job has ended. A POST that creates something takes an \`Idempotency-Key\`. Every answer carries
\`x-request-id\`; every error has the same shape.`;

/** The page's own files, and the inline pictures of its style sheet. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** OpenAPI 3.1 at `/openapi.json`, made from the schemas that validate, and a page that shows it at `/docs`. */
export async function addOpenApi(app: Api, version: string, limits: Record<Bucket, Limit>): Promise<void> {
  app.addSchema(ErrorBody);
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/docs')) {
      route.config = { ...route.config, public: true };
      return;
    }
    if (!route.schema || route.schema.hide) return;
    const response = { ...(route.schema.response as object), default: Type.Ref('Error#') };
    const open = route.config?.public ? { security: [] } : {};
    route.schema = { ...route.schema, ...open, response };
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Tarfleet', version, description: DESCRIPTION },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A session’s JWT, or an API token' },
          apiToken: { type: 'apiKey', in: 'header', name: 'X-API-Token' },
          session: { type: 'apiKey', in: 'cookie', name: 'tarfleet_session' },
        },
      },
      security: [{ bearer: [] }, { apiToken: [] }, { session: [] }],
    },
    hideUntagged: false,
    transform: ({ schema, url, route }) => ({
      url,
      schema: schema && !schema.hide ? describeRoute({ ...route, schema }, limits) : schema,
    }),
    transformObject: (given) =>
      mayBeLeftOut('openapiObject' in given ? given.openapiObject : given.swaggerObject),
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `schema-${i}`) },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { deepLinking: true, persistAuthorization: false, url: '/openapi.json' },
    theme: { title: 'Tarfleet API' },
  });
  app.addHook('onSend', async (request, reply) => {
    if (request.url.startsWith('/docs')) reply.header('content-security-policy', PAGE_POLICY);
  });
  app.get('/openapi.json', { config: { public: true }, schema: { hide: true } }, () => app.swagger());
}

/** A body that may be null may be left out. */
function mayBeLeftOut<D extends object>(document: D): D {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> };
  for (const { requestBody } of Object.values(paths).flatMap((methods) => Object.values(methods))) {
    const type = requestBody?.content?.['application/json']?.schema?.type;
    if (requestBody && Array.isArray(type) && type.includes('null')) requestBody.required = false;
  }
  return document;
}

interface Operation {
  requestBody?: { required?: boolean; content?: Record<string, { schema?: { type?: unknown } }> };
}
