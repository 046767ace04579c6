import { RECORDS_MODES } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { NotificationBody } from '../../notifier/notification.ts';
import { nullable, ProjectId, strict, Uuid } from '../shapes.ts';
import { FromDestination } from './copies-schemas.ts';
import { PreviewData } from './preview-schemas.ts';

const Count = Type.Integer({ minimum: 0 });

/** Documents 1 and 3 in one, with where to and whether to overwrite. */
const Fields = strict({
  restoreType: Type.Optional(
    Type.Enum(['full', 'selective'], {
      description: 'selective needs selectedServices; left out, as full, with the message of document 3',
    }),
  ),
  selectedServices: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      minItems: 1,
      maxItems: 1000,
      description: 'Ids or names of services of one server',
    }),
  ),
  verifyIntegrity: Type.Optional(
    Type.Boolean({ default: true, description: 'Check the stored archives before anything is changed' }),
  ),
  createRollbackPoint: Type.Optional(
    Type.Boolean({
      default: true,
      description:
        'Keep what was there, put it back when anything fails, and keep it for a time after the restore. false: what a failure leaves is told, not undone',
    }),
  ),
  skipHealthChecks: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'true: services that were started again are not checked',
    }),
  ),
  validateOnly: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'true: look whether and what a restore would change, and change nothing. The answer has `preview`; it counts as a verification, not as a restore',
    }),
  ),
  destination_id: FromDestination,
  target_project_id: Type.Optional(
    Type.Integer({
      ...ProjectId,
      description:
        'The project of target_server_id; left out, the one that server is in. For rows of a tenant alone the server need not be named',
    }),
  ),
  target_server_id: Type.Optional(
    Type.String({
      ...Uuid,
      description: 'Another server to restore to; left out, the one that was backed up',
    }),
  ),
  paths: Type.Optional(
    Type.Array(Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4000 }), {
      minItems: 1,
      maxItems: 1000,
      description:
        'files and folders, as they were backed up, each with all that the backup holds below it; left out, everything',
    }),
  ),
  restorePath: Type.Optional(
    Type.String({
      pattern: '^/',
      maxLength: 4000,
      description:
        'an absolute path: the folder below which the whole paths are put; left out, the original paths',
    }),
  ),
  database: Type.Optional(
    strict({
      dropExisting: Type.Optional(
        Type.Boolean({
          default: false,
          description:
            'true: databases that exist are replaced by the backup’s, as a whole; false: they make the restore fail before anything is changed',
        }),
      ),
    }),
  ),
  overwrite: Type.Optional(
    Type.Boolean({
      description:
        'true: what is restored takes the place of what is there; false leaves as it is what exists. Left out, true for the original paths, false with restorePath',
    }),
  ),
  records: Type.Optional(
    Type.Enum([...RECORDS_MODES, 'none'], {
      description:
        'The project’s own records (servers, services, destinations, schedules), for administrators: missing makes again what is not there any more, all sets back what differs as well. Left out, missing for a restore of the whole backup in its own project, else none',
    }),
  ),
  notification: Type.Optional(NotificationBody),
});
export type RestoreBody = Static<typeof Fields>;

/** Left out, as `{}`. */
export const RestoreBody = Type.Unsafe<RestoreBody | null>({ ...Fields, type: ['object', 'null'] });

export const RestoreAnswer = strict({
  success: Type.Literal(true),
  message: Type.String(),
  data: strict({
    restoreJobId: Uuid,
    status: Type.String(),
    servicesRestored: Type.Array(Type.String()),
    servicesFailed: Type.Array(Type.String()),
    filesRestored: nullable(Count),
    filesSkipped: nullable(Count),
    duration: nullable(Type.Integer({ description: 'milliseconds' })),
    rolledBack: Type.Boolean(),
    warnings: Type.Array(Type.String()),
    /** With validateOnly alone. */
    preview: Type.Optional(PreviewData),
  }),
  target_project_id: ProjectId,
});
export type RestoreAnswer = Static<typeof RestoreAnswer>;
