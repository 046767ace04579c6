/** Document 5's words for restores. */
import { type Static, Type } from 'typebox';
import { nullable, strict, Timestamp, Uuid } from '../../routes/shapes.ts';
import { Components } from './execution-schemas.ts';

export const RestoreBody = strict({
  backup_path: Type.String({ minLength: 1, maxLength: 1000, description: 'As `list` shows it' }),
  destination_id: Type.String({
    ...Uuid,
    description: 'That of the backup, or of a copy: then that is read',
  }),
  confirm: Type.Literal(true, { description: 'A restore replaces what is there' }),
  components: Type.Optional(Components),
  server_id: Type.Optional(
    Type.String({ ...Uuid, description: 'Only services that were backed up from this server' }),
  ),
  emergency_backup: Type.Optional(
    Type.Enum(['required', 'attempt', 'skip'], {
      default: 'required',
      description:
        'Of what will be replaced, before anything is: `required`: the restore begins once that backup is complete, or has failed because nothing of it is there any more; `attempt`: also when it has failed; `skip`: none is made',
    }),
  ),
});
export type RestoreBody = Static<typeof RestoreBody>;

export const RestoreAnswer = strict({
  success: Type.Literal(true),
  data: strict({
    restore_id: Uuid,
    backup_id: Uuid,
    backup_path: Type.String(),
    destination_id: Uuid,
    status: Type.String(),
    current_step: Type.String(),
    components: Type.Array(Type.String()),
    emergency_backup: nullable(
      Type.Object(
        {
          execution_id: Uuid,
          backup_path: Type.String(),
          status: Type.String(),
          locked_until: nullable(Timestamp),
        },
        { additionalProperties: false },
      ),
    ),
    status_url: Type.String(),
    warnings: Type.Array(Type.String()),
  }),
  message: Type.String(),
});
