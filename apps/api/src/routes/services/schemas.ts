import { Timestamp, Uuid } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { one, PageQuery, page, strict } from '../shapes.ts';

const Name = Type.String({
  minLength: 1,
  maxLength: 100,
  // Restores choose services by a list of names with commas between.
  pattern: '^[^\\s,\\p{Cc}]([^,\\p{Cc}]*[^\\s,\\p{Cc}])?$',
  description: 'one line of text without commas and without spaces at its ends',
});
const Kind = Type.String({ minLength: 1, maxLength: 50, description: '`files`; other types come later' });
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
    'Names of services on the same server. Stored, checked (they exist, no cycle) and shown for a later version: services of type files are neither stopped nor started',
});

const Later = Type.Optional(Type.Unknown({ description: 'Not supported yet: refused' }));
const later = { stop: Later, start: Later, health_check: Later, database: Later };

export const NewServiceBody = strict({
  name: Name,
  type: Kind,
  component: Component,
  config_paths: Type.Optional(Paths),
  data_paths: Type.Optional(Paths),
  exclude: Type.Optional(Exclude),
  backup_priority: Type.Optional(Priority),
  depends_on: Type.Optional(DependsOn),
  ...later,
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
  ...later,
});
export type ServiceChangesBody = Static<typeof ServiceChangesBody>;

export const ServiceParams = strict({ id: Uuid, serviceId: Uuid });
export const ServiceQuery = strict(PageQuery);

const ServiceView = strict({
  id: Uuid,
  server_id: Uuid,
  name: Name,
  type: Type.String(),
  component: Type.String(),
  config_paths: Paths,
  data_paths: Paths,
  exclude: Exclude,
  backup_priority: Priority,
  depends_on: DependsOn,
  stop: Type.Null(),
  start: Type.Null(),
  health_check: Type.Null(),
  database: Type.Null(),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export const ServiceAnswer = one(ServiceView);
export const ServicePage = page(ServiceView);
