/** Commands around a backup, on the server: to bring what is backed up to rest, and to let it go on. */
import { type Static, Type } from 'typebox';
import { CommandWithLimit } from './service-run.ts';

export const ServiceHooks = Type.Object(
  {
    /** Before anything is read. When it fails, nothing is backed up. */
    before: Type.Union([CommandWithLimit, Type.Null()]),
    /** Whenever `before` was begun, however that and the backup ended. */
    after: Type.Union([CommandWithLimit, Type.Null()]),
  },
  { additionalProperties: false },
);
export type ServiceHooks = Static<typeof ServiceHooks>;
