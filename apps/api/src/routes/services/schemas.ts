import { SERVICE_TYPES, Timestamp, Uuid } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { nullable, one, PageQuery, page, strict } from '../shapes.ts';
import { DatabaseBody, DatabaseView, Hooks } from './database-schemas.ts';
import { Compose, Container, HealthCheckBody, Order, Status, Unit } from './run-schemas.ts';

const Name = Type.String({
  minLength: 1,
  maxLength: 100,
  // Restores choose services by a list of names with commas between.
  pattern: '^[^\\s,\\p{Cc}]([^,\\p{Cc}]*[^\\s,\\p{Cc}])?$',
  description: 'one line of text without commas and without spaces at its ends',
});
const Kind = Type.Enum([...SERVICE_TYPES], {
  description:
    'What runs it, and so how it is stopped and started; what is backed up are its paths. `files`: nothing runs. `postgres`, `mysql`, `sqlite` and `redis`: what is backed up is the database, by its own tools. `rows`: of a postgres database the rows of one tenant',
});
const Component = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
  description: 'letters, digits, dots, dashes and underscores',
});
const Paths = Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
  maxItems: 200,
  description: 'Absolute paths in their plain form',
});
const Exclude = Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), { maxItems: 1000 });
const Priority = Type.Integer({
  minimum: 0,
  maximum: 1000,
  description: '0 when left out. Higher comes first in the order in which a backup’s services are queued',
});
const DependsOn = Type.Array(Name, {
  maxItems: 100,
  description:
    'Names of services on the same server that must run before this one starts. A circle is refused.',
});

/** Null takes away what is stored; what one type is run by is refused with another. */
const run = {
  container: nullable(Container),
  compose: nullable(Compose),
  unit: nullable(Unit),
  stop: nullable(Order),
  start: nullable(Order),
  status: nullable(Status),
  health_check: nullable(HealthCheckBody),
};
const wanted = {
  container: Type.Optional(run.container),
  compose: Type.Optional(run.compose),
  unit: Type.Optional(run.unit),
  stop: Type.Optional(run.stop),
  start: Type.Optional(run.start),
  status: Type.Optional(run.status),
  health_check: Type.Optional(run.health_check),
  hooks: Type.Optional(nullable(Hooks)),
  database: Type.Optional(nullable(DatabaseBody)),
};

export const NewServiceBody = strict({
  name: Name,
  type: Kind,
  component: Component,
  config_paths: Type.Optional(Paths),
  data_paths: Type.Optional(Paths),
  exclude: Type.Optional(Exclude),
  backup_priority: Type.Optional(Priority),
  depends_on: Type.Optional(DependsOn),
  ...wanted,
});

export const ServiceChangesBody = strict({
  name: Type.Optional(Name),
  type: Type.Optional(Kind),
  component: Type.Optional(Component),
  config_paths: Type.Optional(Paths),
  data_paths: Type.Optional(Paths),
  exclude: Type.Optional(Exclude),
  backup_priority: Type.Optional(Priority),
  depends_on: Type.Optional(DependsOn),
  ...wanted,
});
export type ServiceChangesBody = Static<typeof ServiceChangesBody>;

export const ServiceParams = strict({ id: Uuid, serviceId: Uuid });
export const ServiceQuery = strict(PageQuery);

const ServiceView = strict({
  id: Uuid,
  server_id: Uuid,
  name: Name,
  type: Kind,
  component: Type.String(),
  config_paths: Paths,
  data_paths: Paths,
  exclude: Exclude,
  backup_priority: Priority,
  depends_on: DependsOn,
  ...run,
  hooks: nullable(Hooks),
  database: nullable(DatabaseView),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export const ServiceAnswer = one(ServiceView);
export const ServicePage = page(ServiceView);
