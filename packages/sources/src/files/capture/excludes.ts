/** Folders that Tarfleet itself makes on servers: never part of a backup. */
const OWN = '.tarfleet-restore-*';

/**
 * The part of a `find` expression that prunes what is excluded. A pattern that begins with `/` is a glob for the
 * whole path; one with a `/` inside matches at any depth; one without is a glob for the name. `*` also matches `/`
 * in the first two, as find's `-path` has it.
 */
export function pruneExpression(patterns: readonly string[]): string[] {
  const tests = [['-name', OWN], ...patterns.map(toTest)];
  return ['(', ...tests.flatMap((test, index) => (index === 0 ? test : ['-o', ...test])), ')', '-prune'];
}

function toTest(pattern: string): string[] {
  // A folder's pattern is often written with a slash at its end; find's paths have none.
  const plain = pattern.length > 1 ? pattern.replace(/\/+$/, '') : pattern;
  if (plain.startsWith('/')) return ['-path', plain];
  return plain.includes('/') ? ['-path', `*/${plain}`] : ['-name', plain];
}
