/** How a service is run and checked, as the API takes and shows it. What fits which type is `check-run.ts`'s matter. */
import { type Static, Type } from 'typebox';
import { oneOf, strict } from '../shapes.ts';

export const Argv = Type.Array(Type.String({ maxLength: 4096 }), {
  minItems: 1,
  maxItems: 100,
  description:
    'The program, by its name or absolute path, and its arguments, each as it is: no shell looks at them. Stored and shown as it is: keep passwords in files on the server',
});
const limit = (usual: number) =>
  Type.Integer({
    minimum: 1,
    maximum: 3600,
    description: `How many seconds it may take; ${usual} when left out`,
  });
const AbsolutePath = Type.String({ minLength: 1, maxLength: 4096 });
const UnitName = Type.String({
  maxLength: 255,
  pattern: '^[A-Za-z0-9:_.\\\\@-]+\\.(service|target|socket|mount|path|timer|scope|slice)$',
  description: 'a unit’s full name, such as nginx.service',
});

export const Container = Type.String({
  maxLength: 255,
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
  description: 'a container’s name or id: letters, digits, dots, dashes and underscores',
});
export const Unit = UnitName;
export const Compose = strict({
  directory: AbsolutePath,
  service: Type.String({
    maxLength: 100,
    pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
    description: 'a service of the compose file',
  }),
  files: Type.Optional(Type.Array(AbsolutePath, { maxItems: 20 })),
  project: Type.Optional(
    Type.String({
      maxLength: 100,
      pattern: '^[a-z0-9][a-z0-9_-]*$',
      description: 'a compose project: small letters, digits, dashes and underscores',
    }),
  ),
});
export const Order = strict({ command: Type.Optional(Argv), timeout_seconds: Type.Optional(limit(60)) });
export const Status = strict({ command: Argv, timeout_seconds: Type.Optional(limit(10)) });

const pace = {
  timeout_seconds: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 300, description: 'For one try; 5 when left out' }),
  ),
  interval_seconds: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 300, description: 'Between two tries; 2 when left out' }),
  ),
  retries: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      description: 'After so many failed tries it is unhealthy; 15 when left out',
    }),
  ),
  start_period_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 3600,
      description: 'In which failed tries do not count; 0 when left out',
    }),
  ),
};

export const HealthCheckBody = oneOf('type', [
  strict({ type: Type.Literal('container'), ...pace }),
  strict({ type: Type.Literal('unit'), unit: Type.Optional(UnitName), ...pace }),
  strict({
    type: Type.Literal('tcp'),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    host: Type.Optional(
      Type.String({
        maxLength: 253,
        pattern: '^[A-Za-z0-9:][A-Za-z0-9._:%-]*$',
        description: 'a host name or an IP address, as the server sees it; default 127.0.0.1',
      }),
    ),
    ...pace,
  }),
  strict({
    type: Type.Literal('http'),
    url: Type.String({ maxLength: 2000 }),
    status: Type.Optional(
      Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), {
        minItems: 1,
        maxItems: 20,
        description: 'Any of these is healthy; left out: 200 to 299',
      }),
    ),
    body_contains: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
    verify_tls: Type.Optional(
      Type.Boolean({ description: 'Whether the certificate must be valid; true when left out' }),
    ),
    ...pace,
  }),
  strict({ type: Type.Literal('command'), command: Argv, ...pace }),
]);
export type HealthCheckBody = Static<typeof HealthCheckBody>;

/** What the database keeps in a service's settings, beside its type. */
export interface RunSettings {
  container: string | null;
  compose: Static<typeof Compose> | null;
  unit: string | null;
  stop: Static<typeof Order> | null;
  start: Static<typeof Order> | null;
  status: Static<typeof Status> | null;
  health_check: HealthCheckBody | null;
}
