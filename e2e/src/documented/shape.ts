const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** What a documented text looks like, and what every other one in its place must look like. */
const FORMATS: [documented: RegExp, expected: RegExp][] = [
  [TIME, TIME],
  [/^sha256:/, /^sha256:[0-9a-f]{64}$/],
  [/^[\d.]+ [KMGT]?B$/, /^\d+(\.\d)? [KMGT]?B$/],
  [/^(backup|restore|schedule)_\d+$/, new RegExp(`^${UUID}$`)],
  [/^s3:\/\//, /^s3:\/\/[a-z0-9.-]+\/\S+$/],
  [/^\/api\/\S+\/(backup|restore)_\d+$/, new RegExp(`^/api/backups/(restore/)?status/${UUID}$`)],
];

/** Words that stand for themselves wherever they are documented. */
const FIXED = new Set([
  ...['success', 'message', 'event', 'encryption_algorithm', 'backup_method', 'verification_status'],
  ...['period', 'schedule_name', 'created_by'],
]);

const WORDS: Record<string, RegExp> = {
  type: /^(full|incremental|differential|transaction)$/,
  status: /^(completed|in_progress|failed|passed|rolled_back)$/,
  last_status: /^(completed|in_progress|failed)$/,
  cron: /^(\S+ ){4}\S+$/,
  current_phase: /^[a-z]+(_[a-z]+)*$/,
};

export interface ShapeOptions {
  /** Fields, as `data.total_bytes`, whose value may be unknown: then they are there, and null. */
  unknown?: readonly string[];
}

/**
 * In what an answer is not as documented: fields that are missing or of another type or format, words that the document
 * does not have. What an answer has beside is no difference.
 */
export function differences(documented: unknown, actual: unknown, options: ShapeOptions = {}): string[] {
  return compare(documented, actual, '', '', new Set(options.unknown));
}

function compare(
  documented: unknown,
  actual: unknown,
  path: string,
  key: string,
  unknown: Set<string>,
): string[] {
  const wrong = (what: string): string[] => [`${path}: ${what}, not ${JSON.stringify(actual)}`];
  if (actual === undefined) return [`${path} is missing`];
  if (actual === null && (documented === null || unknown.has(path))) return [];
  if (Array.isArray(documented)) {
    if (!Array.isArray(actual)) return wrong('an array');
    // What is in an empty one is documented nowhere; everywhere else the document has texts in such places.
    const [first = ''] = documented;
    if (typeof first === 'object' && actual.length === 0) return wrong('something in it');
    return actual.flatMap((one) => compare(first, one, path, '', unknown));
  }
  if (typeof documented === 'object' && documented !== null) {
    if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) return wrong('an object');
    return Object.entries(documented).flatMap(([name, value]) =>
      compare(
        value,
        (actual as Record<string, unknown>)[name],
        path === '' ? name : `${path}.${name}`,
        name,
        unknown,
      ),
    );
  }
  if (documented === null) return TIME.test(String(actual)) ? [] : wrong('null or a time');
  if (typeof actual !== typeof documented) return wrong(`a ${typeof documented}`);
  if (typeof documented === 'number') {
    const whole = !/_(rate|percent|ratio)$/.test(key) && Number.isInteger(documented);
    return Number.isFinite(actual) && (!whole || Number.isInteger(actual)) ? [] : wrong('a whole number');
  }
  if (typeof documented !== 'string') return key === 'success' && actual !== documented ? wrong('true') : [];
  if (FIXED.has(key)) return actual === documented ? [] : wrong(documented);
  const expected =
    FORMATS.find(([format]) => format.test(documented))?.[1] ?? (key in WORDS ? WORDS[key] : undefined);
  return expected === undefined || expected.test(String(actual)) ? [] : wrong(`like ${documented}`);
}
