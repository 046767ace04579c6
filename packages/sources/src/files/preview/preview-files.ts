import type { PreviewChanges } from '@tarfleet/contracts';
import type { PreviewOptions } from '../../types.ts';
import { createPathSorter } from '../capture/path-sorter.ts';
import { locate } from '../restore/locate.ts';
import { findTools } from '../restore/tools.ts';
import { wantedRoots } from '../restore/wanted-roots.ts';
import { createWarningLimiter } from '../warnings.ts';
import { compare } from './compare.ts';
import { listPlaces } from './list-places.ts';
import { pairPlaces } from './places.ts';
import { createStays } from './what-stays.ts';

/**
 * What a restore would change; see `Source.preview`. The list of what lies on the server waits, sorted, on the
 * worker's disk (`tmpDir`).
 */
export async function previewFiles(
  { tmpDir }: { tmpDir: string },
  options: Omit<PreviewOptions, 'openTar'>,
): Promise<PreviewChanges> {
  const { session, service, signal, overwrite, entries } = options;
  const limiter = createWarningLimiter(options.warn);
  const sorter = createPathSorter({ dir: tmpDir });
  try {
    await findTools(session, signal);
    const groups = await locate(session, await wantedRoots({ ...options, openTar: null }), signal);
    const pairs = pairPlaces(
      groups.flatMap(({ roots }) => roots),
      options.keep,
      (options.destinations ?? []).map(({ path }) => path),
    );
    await listPlaces({ session, signal, warn: limiter.warn }, pairs, sorter);
    const stays = createStays(pairs, service.exclude);
    return await compare(sorter.sorted(), entries, { pairs, overwrite, stays });
  } finally {
    await entries.return(undefined);
    await sorter.close();
    limiter.close();
  }
}
