import type { Database } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { type Actor, actorOf } from '../../plugins/actor.ts';
import { readDates } from '../read-dates.ts';
import { AuditAnswer, AuditQuery } from './schemas.ts';
import { auditView } from './view.ts';

/** In these roles a member runs what belongs to the project, and so sees what everybody did to it. */
const RUNS_PROJECT = ['operator', 'admin'] as const;

/** Document 1's log of what users did. */
export function auditRoutes(app: Api, { db }: { db: Pick<Database, 'auditLog' | 'projectMembers'> }): void {
  const seenBy = async ({ userId, seesAll }: Actor) =>
    seesAll ? null : { userId, projectIds: await db.projectMembers.projectsOf(userId, RUNS_PROJECT) };

  app.get(
    '/api/audit',
    {
      schema: {
        tags: ['Audit'],
        summary: 'What users did and were refused, newest first',
        description:
          'Administrators see all rows; others their own, and those of projects in which they are operators.',
        querystring: AuditQuery,
        response: { 200: AuditAnswer },
      },
    },
    async (request) => {
      const actor = actorOf(request);
      const { query } = request;
      const rows = await db.auditLog.list({
        seenBy: await seenBy(actor),
        ...(query.user_id === undefined ? {} : { userId: query.user_id }),
        ...(query.action === undefined ? {} : { action: query.action }),
        ...(query.project_id === undefined ? {} : { projectId: query.project_id }),
        ...(query.target_type === undefined ? {} : { targetType: query.target_type }),
        ...(query.target_id === undefined ? {} : { targetId: query.target_id.toLowerCase() }),
        ...(query.outcome === undefined ? {} : { outcome: query.outcome }),
        ...(query.request_id === undefined ? {} : { requestId: query.request_id }),
        ...(query.cursor === undefined ? {} : { before: query.cursor }),
        ...readDates({ from: query.from, to: query.to }, ['from', 'to']),
        // One more than asked for tells whether there are more.
        limit: query.limit + 1,
      });
      const shown = rows.slice(0, query.limit);
      return {
        success: true as const,
        message: 'Audit log retrieved successfully',
        data: shown.map((row) => auditView(row, actor)),
        count: shown.length,
        next_cursor: rows.length > shown.length ? (shown.at(-1)?.id ?? null) : null,
      };
    },
  );
}
