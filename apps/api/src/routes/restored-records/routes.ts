import type { Database, RestoredRecord } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { notFound } from '../../plugins/access.ts';
import { pageOf } from '../answers.ts';
import { ProjectParams } from '../shapes.ts';
import { RestoredRecordsPage, RestoredRecordsQuery } from './schemas.ts';

/** What a restore brought back of members, API keys and audit log: to be read, and nothing else reads it. */
export function restoredRecordRoutes(
  app: Api,
  { db }: { db: Pick<Database, 'projects' | 'restoredRecords'> },
): void {
  app.get(
    '/api/projects/:id/restored-records',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['Projects'],
        summary: 'List members, API keys or audit rows out of a backup',
        description:
          'As they were when the backup was made that was last restored to the project. They are for reading: nobody may do anything because of them. Keys are hashes.',
        params: ProjectParams,
        querystring: RestoredRecordsQuery,
        response: { 200: RestoredRecordsPage },
      },
    },
    async (request) => {
      const { id: projectId } = request.params;
      if (!(await db.projects.get(projectId))) throw notFound('project');
      const { page, per_page: perPage, kind } = request.query;
      return pageOf(await db.restoredRecords.list({ projectId, kind, page, perPage }), view);
    },
  );
}

function view({ kind, restoreJobId, restoredAt, data }: RestoredRecord) {
  return { kind, restore_job_id: restoreJobId, restored_at: restoredAt.toISOString(), data };
}
