/**
 * Whether a transaction changed what it was meant to change and nothing else, from the server's own count of what it did:
 * cascades, triggers and rules count, too, in tables that nobody has named.
 */
import { pgTable, pgText } from '../names.ts';
import { doBlock } from './plpgsql.ts';
import { ownRows, type Relation } from './relations.ts';
import { staged } from './values.ts';

/** What this session had done before and not yet reported. */
export const COUNT_BEFORE = `CREATE TEMPORARY TABLE tarfleet_before ON COMMIT DROP AS
SELECT relid, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables;\n`;

const DONE = `SELECT d.relid, d.n_tup_ins - coalesce(b.n_tup_ins, 0) AS ins, d.n_tup_upd - coalesce(b.n_tup_upd, 0) AS upd,
  d.n_tup_del - coalesce(b.n_tup_del, 0) AS del, d.relname
  FROM pg_stat_xact_user_tables d LEFT JOIN pg_temp.tarfleet_before b USING (relid)
  WHERE d.schemaname !~ '^pg_(toast_)?temp'`;

const idOf = ({ look }: Relation): string => `${pgText(pgTable(look))}::regclass`;
const partsOf = (relation: Relation): string =>
  `(SELECT ${idOf(relation)}::oid UNION SELECT relid::oid FROM pg_partition_tree(${idOf(relation)}))`;

export const checkStatements = {
  /** Before anything is changed: how many rows are to go and to come. */
  expect(relations: readonly Relation[], tenant: string): string[] {
    return [
      'CREATE TEMPORARY TABLE tarfleet_expected (at int, going bigint, coming bigint) ON COMMIT DROP;\n',
      ...relations.map(
        (one) => `INSERT INTO pg_temp.tarfleet_expected VALUES (${one.at},
  (SELECT count(*) FROM ${pgTable(one.look)} AS t WHERE ${ownRows(one, tenant, 't')}), (SELECT count(*) FROM ${staged(one)}));\n`,
      ),
    ];
  },

  /** Before the commit. */
  compare(relations: readonly Relation[], tenant: string): string[] {
    const listed = relations.map(partsOf).join(' UNION ');
    const elsewhere = doBlock(`DECLARE other text;
BEGIN
  SELECT string_agg(DISTINCT d.relname, ', ') INTO other FROM (${DONE}) AS d
    WHERE (d.upd > 0 OR d.del > 0) AND d.relid NOT IN (${listed});
  IF other IS NOT NULL THEN
    RAISE EXCEPTION 'Rows of tables that are not among the service''s tables would be changed or removed, too: %. Add them, or take what does it away.', other;
  END IF;
END;`);
    return [elsewhere, ...relations.map((one) => compareOne(one, tenant))];
  },
};

/** All tables are locked: whatever is as young as this transaction is its own. */
function compareOne(relation: Relation, tenant: string): string {
  const { look, table, at } = relation;
  const name = pgText(table.name);
  const whose = ownRows(relation, tenant, 't');
  return doBlock(`DECLARE done record; wanted record;
BEGIN
  SELECT coalesce(sum(d.ins), 0) AS ins, coalesce(sum(d.upd), 0) AS upd, coalesce(sum(d.del), 0) AS del INTO done
    FROM (${DONE}) AS d WHERE d.relid IN ${partsOf(relation)};
  SELECT going, coming INTO wanted FROM pg_temp.tarfleet_expected AS e WHERE e.at = ${at};
  IF done.ins <> wanted.coming OR done.del <> wanted.going THEN
    RAISE EXCEPTION 'Of % other rows would be changed than the tenant''s: % were to go and % went, % were to come and % came.',
      ${name}, wanted.going, done.del, wanted.coming, done.ins;
  END IF;
  IF (SELECT count(*) FROM ${pgTable(look)} AS t WHERE ${whose}) <> wanted.coming THEN
    RAISE EXCEPTION 'Not all rows that came to % are the tenant''s.', ${name};
  END IF;
  IF done.upd > 0 AND EXISTS (SELECT FROM ${pgTable(look)} AS t WHERE age(t.xmin) <= 0 AND (${whose}) IS NOT TRUE) THEN
    RAISE EXCEPTION 'Rows of % that are not the tenant''s would be changed.', ${name};
  END IF;
END;`);
}
