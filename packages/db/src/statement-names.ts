/** A text that came this often is worth a statement that the server keeps. */
const WORTH_IT = 3;
/** Statements kept by each connection at most: every one takes memory of the server. */
const MOST = 200;
/** Texts counted at most before counting starts again; lists of changing length make new ones all the time. */
const MOST_COUNTED = 2_000;

/**
 * Gives each query that comes again and again a name, so that Postgres parses and plans it once a connection
 * instead of every time. An empty name means none. Between here and Postgres there must be no pooler that hands
 * one session to several clients without carrying prepared statements (PgBouncer does from 1.21).
 */
export function createStatementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>();
  let seen = new Map<string, number>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= MOST) return '';
    const times = (seen.get(sql) ?? 0) + 1;
    if (times < WORTH_IT) {
      if (seen.size >= MOST_COUNTED) seen = new Map();
      seen.set(sql, times);
      return '';
    }
    seen.delete(sql);
    const name = `tarfleet_${names.size + 1}`;
    names.set(sql, name);
    return name;
  };
}
