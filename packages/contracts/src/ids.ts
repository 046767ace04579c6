import { Type } from 'typebox';

/** A lower-case UUID; Tarfleet makes version 7, whose order is the order of creation. */
export const Uuid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
  description: 'UUID',
});

/** The one id that is a plain number. */
export const ProjectId = Type.Integer({ minimum: 1, description: 'Project id' });

/** UTC, ISO 8601, with milliseconds. */
export const Timestamp = Type.String({ description: 'UTC, ISO 8601' });

/** A pool or host name that may become part of a queue's name. */
export const PoolName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,39}$' });

/** A key of a keyring: it becomes part of object names. */
export const KeyName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,39}$' });
