import { type Static, Type } from 'typebox';
import { CopyTo } from '../backups/copies-schemas.ts';
import { ObjectFields } from '../backups/schemas.ts';
import { Name, PageQuery, page, strict, Uuid } from '../shapes.ts';

/** Document 3's body. */
export const ProjectBackupBody = strict({
  name: Name,
  description: Type.Optional(Type.String({ maxLength: 2000 })),
  copy_to: CopyTo,
  type: Type.Optional(
    Type.Enum(['manual', 'automatic'], {
      default: 'manual',
      description: 'Who makes it: somebody, or a program by itself. It changes nothing of what is backed up',
    }),
  ),
});
export type ProjectBackupBody = Static<typeof ProjectBackupBody>;

const BackupObject = strict(ObjectFields);

/** Document 3's object, as it is and as `data`. */
export const ProjectBackupAnswer = strict({
  success: Type.Literal(true),
  data: BackupObject,
  message: Type.String(),
  ...ObjectFields,
});

export const ProjectBackupsQuery = strict({
  ...PageQuery,
  after: Type.Optional(
    Type.String({
      ...Uuid,
      description:
        'Only what comes after this backup in the list: its last one gives the next page, whatever is made or deleted meanwhile',
    }),
  ),
});

export const ProjectBackupsPage = page(BackupObject);
