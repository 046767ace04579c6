import { type Static, Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import { answerDownload } from '../../downloads/answer-download.ts';
import type { DownloadDeps } from '../../downloads/deps.ts';
import type { Access } from '../../plugins/access.ts';
import { strict } from '../shapes.ts';
import { FromDestination } from './copies-schemas.ts';
import { findBackup } from './find.ts';
import { IdParams } from './schemas.ts';

const DownloadQuery = strict({
  format: Type.Optional(
    Type.Enum(['archive', 'tar'], {
      description:
        '`archive`: the only archive, as it is stored. `tar`: manifest, archives, indexes and key objects, as they lie in the destination, and what of older backups an incremental one needs. Left out: `archive` where there is one, else `tar`',
    }),
  ),
  destination_id: FromDestination,
  redirect: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'true: where the file is one object of S3, answer with a link to it that is good for some minutes; else as without',
    }),
  ),
});
type DownloadQuery = Static<typeof DownloadQuery>;

const FILE = { content: { 'application/octet-stream': { schema: Type.Unknown() } } };

/** A backup's stored bytes under this path; the same for every document. */
export function downloadRoute(
  app: Api,
  path: '/api/backups/:id/download' | '/api/backup/:id/download',
  deps: DownloadDeps & { access: Access },
): void {
  app.get(
    path,
    {
      config: {
        audit: {
          action: 'backup.download',
          target: 'backup',
          param: 'id',
          shows: ['format', 'redirect', 'destination_id'],
        },
        role: 'admin',
        rateLimit: 'downloads',
        errors: [
          'BACKUP_NOT_FOUND',
          'BACKUP_INCOMPLETE',
          'BACKUP_CORRUPTED',
          'OBJECT_NOT_FOUND',
          'NOT_FOUND',
          'CONFLICT',
          'LOCAL_NOT_ALLOWED',
          'RANGE_NOT_SATISFIABLE',
          'DESTINATION_UNREACHABLE',
          'DESTINATION_AUTH_FAILED',
        ],
      },
      schema: {
        tags: ['Backups'],
        summary: 'Download what a backup has stored',
        description:
          'As an attachment, encrypted where the backup is. Takes `Range` with one part, `If-Range` and `If-None-Match` with the ETag; HEAD gives the size.',
        params: IdParams,
        querystring: DownloadQuery,
        response: {
          200: FILE,
          206: FILE,
          302: Type.Null(),
          304: Type.Null(),
        },
      },
    },
    async (request, reply) => {
      const backup = await findBackup(deps, request, request.params.id, 'admin');
      const { format, redirect = false, destination_id: from } = request.query as DownloadQuery;
      await answerDownload(deps, request, reply, backup, {
        ...{ redirect, destinationId: from ?? null, ...(format ? { format } : {}) },
      });
      return reply;
    },
  );
}
