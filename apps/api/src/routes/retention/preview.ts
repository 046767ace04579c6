import type { BackupUses, Database, SeriesMember } from '@tarfleet/db';
import { evaluateSeries, type Reason } from '../../retention/evaluate.ts';
import { earlier, policiesOf } from '../../retention/may-go.ts';
import { viewReason } from '../../retention/view-reason.ts';
import type { Action, PreviewData, PreviewQuery } from './schemas.ts';

const NO_USES: BackupUses = { neededBy: [], jobs: [], downloads: 0 };

/** What the next run of retention would do with each completed and partial backup of a project, and why. */
export async function previewRetention(
  db: Pick<Database, 'retention'>,
  projectId: number,
  { page, per_page: perPage, action }: PreviewQuery,
): Promise<PreviewData> {
  const members = await db.retention.ofProject(projectId);
  const reasons = await evaluateAll(db, projectId, members);
  const leaving = members.filter(({ id }) => reasons.get(id)?.length === 0).map(({ id }) => id);
  const uses = new Map((await db.retention.usesOf(leaving)).map(({ id, ...rest }) => [id, rest]));
  const actionOf = ({ id }: SeriesMember): Action => {
    if ((reasons.get(id)?.length ?? 1) > 0) return 'keep';
    const { jobs, neededBy, downloads } = uses.get(id) ?? NO_USES;
    if (jobs.length > 0) return 'keep';
    return neededBy.length > 0 || downloads > 0 ? 'hide' : 'delete';
  };
  const totals = { keep: 0, hide: 0, delete: 0 };
  for (const member of members) totals[actionOf(member)] += 1;

  const chosen = members
    .filter((member) => action === undefined || actionOf(member) === action)
    .sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  const shown = chosen.slice((page - 1) * perPage, page * perPage);
  const shownUses = new Map(
    (await db.retention.usesOf(shown.map(({ id }) => id))).map((one) => [one.id, one]),
  );
  return {
    ...{ project_id: projectId, at: new Date().toISOString(), totals },
    backups: shown.map((member) => {
      const { neededBy, jobs, downloads } = shownUses.get(member.id) ?? NO_USES;
      return {
        backup_id: member.id,
        created_at: member.createdAt.toISOString(),
        status: member.status,
        destination_id: member.destinationId,
        series: member.series,
        action: actionOf(member),
        reasons: (reasons.get(member.id) ?? []).map(viewReason),
        needed_by: neededBy,
        ...{ jobs, downloads },
      };
    }),
    ...{ total: chosen.length, page, per_page: perPage, total_pages: Math.ceil(chosen.length / perPage) },
  };
}

async function evaluateAll(
  db: Pick<Database, 'retention'>,
  projectId: number,
  members: SeriesMember[],
): Promise<Map<string, Reason[]>> {
  const all = new Map<string, Reason[]>();
  for (const series of groupBySeries(members)) {
    const ground = await db.retention.look(projectId, series[0].destinationId);
    const found = evaluateSeries(series, policiesOf(ground), earlier(ground.now));
    for (const [id, reasons] of found) all.set(id, reasons);
  }
  return all;
}

/** They come series by series. */
function groupBySeries(members: SeriesMember[]): [SeriesMember, ...SeriesMember[]][] {
  const groups: [SeriesMember, ...SeriesMember[]][] = [];
  for (const member of members) {
    const last = groups.at(-1);
    if (last && last[0].series === member.series && last[0].destinationId === member.destinationId) {
      last.push(member);
    } else {
      groups.push([member]);
    }
  }
  return groups;
}
