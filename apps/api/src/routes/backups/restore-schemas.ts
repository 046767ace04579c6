import { type Static, Type } from 'typebox';
import { nullable, ProjectId, strict, Uuid } from '../shapes.ts';

const Count = Type.Integer({ minimum: 0 });

/** Documents 1 and 3 in one, with where to and whether to overwrite. */
export const RestoreBody = strict({
  restoreType: Type.Optional(Type.Enum(['full', 'selective'])),
  selectedServices: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { minItems: 1, maxItems: 1000 }),
  ),
  verifyIntegrity: Type.Optional(Type.Boolean()),
  createRollbackPoint: Type.Optional(Type.Boolean()),
  skipHealthChecks: Type.Optional(Type.Boolean()),
  validateOnly: Type.Optional(Type.Boolean()),
  target_project_id: Type.Optional(ProjectId),
  target_server_id: Type.Optional(Uuid),
  paths: Type.Optional(
    Type.Array(Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4000 }), {
      minItems: 1,
      maxItems: 1000,
      description: 'files and folders, as they were backed up; left out, everything',
    }),
  ),
  restorePath: Type.Optional(
    Type.String({ pattern: '^/', maxLength: 4000, description: 'an absolute path' }),
  ),
  overwrite: Type.Optional(Type.Boolean()),
});
export type RestoreBody = Static<typeof RestoreBody>;

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
  }),
  target_project_id: ProjectId,
});
