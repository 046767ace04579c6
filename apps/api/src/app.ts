import cookie from '@fastify/cookie';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Logger } from '@tarfleet/kernel';
import Fastify, {
  LogController,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from 'fastify';
import type { Api } from './api-type.ts';
import type { AppDeps } from './deps.ts';
import { posRoutes } from './dialects/pos/routes.ts';
import { tacacsRoutes } from './dialects/tacacs/routes.ts';
import { createOpenDestination } from './downloads/open-destination.ts';
import './fastify-types.ts';
import { createAddressGuard, parseAllowed } from './notifier/address-guard.ts';
import { createRequestSecrets } from './notifier/signature.ts';
import { createAccess } from './plugins/access.ts';
import { addAudit } from './plugins/audit.ts';
import { addAuth } from './plugins/auth.ts';
import { createAuthenticator } from './plugins/authenticator.ts';
import { addCors, parseOrigins } from './plugins/cors.ts';
import { addErrors, onClientError, onRouterError } from './plugins/errors.ts';
import { createExternalIssuer } from './plugins/external-issuer.ts';
import { addIdempotency } from './plugins/idempotency.ts';
import { addJsonBody } from './plugins/json-body.ts';
import { addMetrics } from './plugins/metrics.ts';
import { addOpenApi } from './plugins/openapi.ts';
import { addRateLimits, createCountUse, limitsOf } from './plugins/rate-limits.ts';
import { addHeaders, requestIdOf } from './plugins/request-id.ts';
import { addRequestLog } from './plugins/request-log.ts';
import { createSessionTokens } from './plugins/session-tokens.ts';
import { addValidation } from './plugins/validation.ts';
import { auditRoutes } from './routes/audit/routes.ts';
import { authRoutes } from './routes/auth/routes.ts';
import { downloadRoute } from './routes/backups/download.ts';
import { backupRoutes } from './routes/backups/routes.ts';
import { destinationRoutes } from './routes/destinations/routes.ts';
import { unknownObjectRoutes } from './routes/destinations/unknown-objects.ts';
import { healthRoutes } from './routes/health/routes.ts';
import { jobRoutes } from './routes/jobs/routes.ts';
import { memberRoutes } from './routes/members/routes.ts';
import { notificationRoutes } from './routes/notifications/routes.ts';
import { projectBackupRoutes } from './routes/project-backups/routes.ts';
import { projectRoutes } from './routes/projects/routes.ts';
import { rollbackRoute } from './routes/restore-jobs/rollback.ts';
import { restoreJobRoutes } from './routes/restore-jobs/routes.ts';
import { restoredRecordRoutes } from './routes/restored-records/routes.ts';
import { retentionRoutes } from './routes/retention/routes.ts';
import { scheduleRoutes } from './routes/schedules/routes.ts';
import { serverRoutes } from './routes/servers/routes.ts';
import { serviceRoutes } from './routes/services/routes.ts';
import { tokenRoutes } from './routes/tokens/routes.ts';
import { userRoutes } from './routes/users/routes.ts';
import { webhookRoutes } from './routes/webhooks/routes.ts';
import { workerRoutes } from './routes/workers/routes.ts';
import { VERSION } from './version.ts';

/** The whole API, not yet listening. The caller closes it, and afterwards what is in `deps`. */
export async function buildApp(deps: AppDeps): Promise<Api> {
  const { config, db, vault } = deps;
  const app = Fastify<
    RawServerDefault,
    RawRequestDefaultExpression,
    RawReplyDefaultExpression,
    Logger,
    TypeBoxTypeProvider
  >({
    loggerInstance: deps.logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestIdOf,
    bodyLimit: config.BODY_LIMIT_BYTES,
    routerOptions: { ignoreTrailingSlash: true },
    ...(config.TRUSTED_PROXIES === 0 ? {} : { trustProxy: trustHops(config.TRUSTED_PROXIES) }),
    // For a request's bytes to arrive; how long its answer takes is the route's own matter.
    requestTimeout: 60_000,
    forceCloseConnections: 'idle',
    frameworkErrors: onRouterError,
    clientErrorHandler: onClientError,
  });

  const sessionTokens = createSessionTokens(vault.jwtSecret);
  const countUse = createCountUse(db, config);
  const { JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config;
  const externalIssuer =
    jwksUrl && issuer && audience ? createExternalIssuer({ jwksUrl, issuer, audience }) : undefined;
  const authenticate = createAuthenticator({
    db,
    sessionTokens,
    ...(externalIssuer ? { externalIssuer } : {}),
  });

  const access = createAccess(db);
  const guard = createAddressGuard(parseAllowed(config.WEBHOOK_ALLOWED));
  const notifications = { guard, mail: config.SMTP_URL !== undefined };

  // In the order in which they see a request.
  addHeaders(app);
  await addCors(app, parseOrigins(config.CORS_ORIGINS));
  addRequestLog(app);
  const metrics = addMetrics(app);
  addErrors(app);
  addJsonBody(app);
  addValidation(app, { checkResponses: deps.checkResponses ?? false });
  await app.register(cookie);
  addAudit(app, { db, access });
  addAuth(app, { config, authenticate });
  addIdempotency(app, { db, secret: vault.jwtSecret });
  addRateLimits(app, countUse);
  await addOpenApi(app, VERSION, limitsOf(config));

  healthRoutes(app, { ...deps, metrics });
  authRoutes(app, { ...deps, sessionTokens, countUse });
  tokenRoutes(app, deps);
  userRoutes(app, { ...deps, countUse });
  projectRoutes(app, deps);
  retentionRoutes(app, deps);
  memberRoutes(app, deps);
  serverRoutes(app, deps);
  serviceRoutes(app, deps);
  destinationRoutes(app, deps);
  unknownObjectRoutes(app, deps);
  workerRoutes(app, deps);
  const openDestination = createOpenDestination({ ...deps, box: vault.box });
  const runDeps = { ...deps, access, keys: vault, notifications };
  backupRoutes(app, runDeps);
  projectBackupRoutes(app, runDeps);
  downloadRoute(app, '/api/backups/:id/download', { ...deps, access, openDestination });
  posRoutes(app, runDeps, { ...deps, openDestination });
  tacacsRoutes(app, { ...runDeps, config, vault });
  scheduleRoutes(app, { ...deps, notifications });
  restoreJobRoutes(app, { ...deps, access });
  restoredRecordRoutes(app, deps);
  rollbackRoute(app, { ...deps, access, keys: vault });
  jobRoutes(app, { ...deps, access });
  webhookRoutes(app, { db, vault, access, guard, requestSecrets: createRequestSecrets(vault.jwtSecret) });
  notificationRoutes(app, { db, access });
  auditRoutes(app, deps);
  return app;
}

/** As many of the nearest proxies as stand in front are believed. */
function trustHops(count: number): (address: string, hop: number) => boolean {
  return (_address, hop) => hop < count;
}
