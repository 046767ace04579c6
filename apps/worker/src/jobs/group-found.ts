import { FOUND_AT_ONCE, type FoundGroup, LONGEST_SHOWN } from '@tarfleet/contracts';
import { isKey, type ListedObject } from '@tarfleet/storage';

/** A backup's folder, as the planner names it; something else may be in front where destinations lie in each other. */
const BACKUP = /^(?:.*?\/)?(project-\d+\/\d{4}-\d\d-\d\d\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/)/;

export interface Grouping {
  add(found: ListedObject, what: 'object' | 'upload'): Promise<void>;
  /** Gives out what is still here. */
  end(): Promise<void>;
}

/**
 * Adds up what lies together, and gives it out whenever there are so many groups: a listing of any length takes
 * that much memory. A group whose objects do not come one after the other is given out several times.
 */
export function createGrouping(give: (groups: FoundGroup[]) => Promise<void>): Grouping {
  let groups = new Map<string, FoundGroup>();
  const end = async (): Promise<void> => {
    if (groups.size === 0) return;
    const full = [...groups.values()];
    groups = new Map();
    await give(full);
  };
  return {
    async add(found, what) {
      const place = placeOf(found);
      const name = `${place.foreign} ${place.prefix}`;
      if (!groups.has(name) && groups.size === FOUND_AT_ONCE) await end();
      const group = groups.get(name) ?? newGroup(found, place);
      groups.set(name, group);
      if (what === 'object') group.objects += 1;
      else group.uploads += 1;
      group.bytes += found.bytes;
      const at = found.modifiedAt?.toISOString() ?? null;
      if (at === null) return;
      if (group.oldest === null || at < group.oldest) group.oldest = at;
      if (group.newest === null || at > group.newest) group.newest = at;
    },
    end,
  };
}

type Place = Pick<FoundGroup, 'prefix' | 'backupId' | 'foreign'>;

function newGroup({ key }: ListedObject, place: Place): FoundGroup {
  const none = { objects: 0, bytes: 0, uploads: 0, oldest: null, newest: null };
  return { ...place, example: cut(key), ...none };
}

/**
 * A backup's folder; the folder at the top for what is nothing of ours. What lies between a project's backups and is
 * in none of them stands alone: nobody may take a folder that holds backups for one that holds none.
 */
function placeOf({ key, foreign }: ListedObject): Place {
  const backup = BACKUP.exec(key);
  if (backup?.[1] && backup[2]) {
    const [before, folder, backupId] = backup;
    // What is in front is another destination's folder, which may bear any name, and be long: it must not make a
    // living backup look like a stranger's.
    const own = key.slice(before.length - folder.length);
    return { prefix: before.slice(-LONGEST_SHOWN), backupId, foreign: foreign && !isKey(own) };
  }
  const top = key.indexOf('/', 1);
  const folder = top < 0 || /^project-\d+\//.test(key) ? key : key.slice(0, top + 1);
  return { prefix: cut(folder) || '/', backupId: null, foreign };
}

function cut(name: string): string {
  return name.length <= LONGEST_SHOWN ? name : `${name.slice(0, LONGEST_SHOWN - 3)}...`;
}
