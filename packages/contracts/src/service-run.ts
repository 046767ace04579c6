/** How a service is stopped, started and checked: what a restore needs of it besides its files. */
import { type Static, Type } from 'typebox';
import { DATABASE_TYPES } from './database.ts';
import { Uuid } from './ids.ts';

const closed = { additionalProperties: false } as const;

/** As the API gives it: `files` has nothing to stop. */
export const SERVICE_TYPES = [
  'files',
  'docker',
  'docker-compose',
  'systemd',
  'command',
  ...DATABASE_TYPES,
] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];

const Seconds = Type.Number({ exclusiveMinimum: 0, maximum: 86_400 });
const Argv = Type.Array(Type.String(), { minItems: 1 });
const Absolute = Type.String({ pattern: '^/' });

/** How long stopping and starting may take, until the service really stands or runs. */
const limits = { stopSeconds: Seconds, startSeconds: Seconds };

export const CommandWithLimit = Type.Object({ argv: Argv, seconds: Seconds }, closed);
export type CommandWithLimit = Static<typeof CommandWithLimit>;

export const DockerRunner = Type.Object(
  { kind: Type.Literal('docker'), container: Type.String({ minLength: 1 }), ...limits },
  closed,
);
export type DockerRunner = Static<typeof DockerRunner>;

export const ComposeRunner = Type.Object(
  {
    kind: Type.Literal('docker-compose'),
    /** Where compose is run, as one would by hand: it finds its file and `.env` there. */
    directory: Absolute,
    /** In the order of `-f`; empty: the file that compose finds. */
    files: Type.Array(Absolute),
    project: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
    service: Type.String({ minLength: 1 }),
    ...limits,
  },
  closed,
);
export type ComposeRunner = Static<typeof ComposeRunner>;

export const SystemdRunner = Type.Object(
  { kind: Type.Literal('systemd'), unit: Type.String({ minLength: 1 }), ...limits },
  closed,
);
export type SystemdRunner = Static<typeof SystemdRunner>;

export const CommandRunner = Type.Object(
  {
    kind: Type.Literal('command'),
    stop: CommandWithLimit,
    start: CommandWithLimit,
    /** Exit code 0: it runs; 1 or 3: it does not; anything else tells nothing. */
    status: CommandWithLimit,
  },
  closed,
);
export type CommandRunner = Static<typeof CommandRunner>;

export const ServiceRunner = Type.Union([
  Type.Object({ kind: Type.Literal('none') }, closed),
  DockerRunner,
  ComposeRunner,
  SystemdRunner,
  CommandRunner,
]);
export type ServiceRunner = Static<typeof ServiceRunner>;

const pace = {
  /** For one try. */
  timeoutSeconds: Seconds,
  intervalSeconds: Type.Number({ minimum: 0, maximum: 86_400 }),
  /** After so many failed tries the service is unhealthy. */
  retries: Type.Integer({ minimum: 1 }),
  /** In which failed tries do not count. */
  startPeriodSeconds: Type.Number({ minimum: 0, maximum: 86_400 }),
};
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

/** All of them look from the server itself: `127.0.0.1` is the server's own. */
export const HealthCheck = Type.Union([
  /** The container's own health check; for services of Docker alone. */
  Type.Object({ type: Type.Literal('container'), ...pace }, closed),
  /** An active unit. */
  Type.Object({ type: Type.Literal('unit'), unit: Type.String({ minLength: 1 }), ...pace }, closed),
  Type.Object(
    { type: Type.Literal('tcp'), host: Type.String({ minLength: 1 }), port: Port, ...pace },
    closed,
  ),
  Type.Object(
    {
      type: Type.Literal('http'),
      url: Type.String({ pattern: '^https?://' }),
      /** Any of these; empty: 200 to 299. */
      statuses: Type.Array(Type.Integer({ minimum: 100, maximum: 599 })),
      /** Must stand in the first 64 KiB of the body; null asks for none. */
      bodyContains: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
      /** Whether the certificate of an https URL must be valid. */
      verifyTls: Type.Boolean(),
      ...pace,
    },
    closed,
  ),
  /** Exit code 0. */
  Type.Object({ type: Type.Literal('command'), argv: Argv, ...pace }, closed),
]);
export type HealthCheck = Static<typeof HealthCheck>;

/** A service as far as it is stopped, started and checked. Without a check it is healthy while it runs. */
export const ServiceRun = Type.Object(
  {
    id: Uuid,
    name: Type.String(),
    runner: ServiceRunner,
    healthCheck: Type.Union([HealthCheck, Type.Null()]),
  },
  closed,
);
export type ServiceRun = Static<typeof ServiceRun>;
