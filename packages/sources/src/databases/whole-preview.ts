import { PREVIEW_EXAMPLES, type PreviewChanges } from '@tarfleet/contracts';

/** What a restore of whole databases would change: which there are not, and which would be replaced. */
export function wholePreview(names: readonly string[], exists: (name: string) => boolean): PreviewChanges {
  const group = (some: readonly string[]) => ({
    ...{ entries: some.length, files: 0, bytes: 0, examples: some.slice(0, PREVIEW_EXAMPLES) },
  });
  return {
    created: group(names.filter((name) => !exists(name))),
    overwritten: group(names.filter(exists)),
    ...{ unchanged: group([]), deleted: group([]), kept: group([]) },
  };
}
