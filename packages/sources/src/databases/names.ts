/** The one place where names that users chose become parts of commands, statements and archives. */

/** As a part of a path in an archive: all but plain characters as `%` and two hex digits, and none begins with a dot or a dash. */
function entryName(name: string): string {
  return [...Buffer.from(name)]
    .map((byte, at) => {
      const char = String.fromCharCode(byte);
      const plain = at === 0 ? /[A-Za-z0-9_]/ : /[A-Za-z0-9_.-]/;
      return plain.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/** A database's dump in an archive. By `db-` it comes after what has to be read before it: a restore reads in the order of names. */
export function dumpName(database: string, ending: string): string {
  return `db-${entryName(database)}${ending}`;
}

/** A table's list of rows in an archive. */
export function listName(table: string): string {
  return `rows/${entryName(table)}.jsonl`;
}

/** The order of their dumps in an archive. */
export function byDumpName(ending: string): (a: { name: string }, b: { name: string }) => number {
  const key = ({ name }: { name: string }): Buffer => Buffer.from(`${dumpName(name, ending)}.`);
  return (a, b) => Buffer.compare(key(a), key(b));
}

/** A postgres database as a whole connection string, in which no name is taken for an option or for another setting. */
export function pgConnection(database: string): string {
  return `dbname='${database.replace(/[\\']/g, '\\$&')}'`;
}

/** An identifier in postgres' SQL. */
export function pgName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in postgres' SQL, whatever `standard_conforming_strings` says. */
export function pgText(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** A table in postgres' SQL. */
export function pgTable({ schema, name }: { schema: string; name: string }): string {
  return `${pgName(schema)}.${pgName(name)}`;
}

/** A line of a postgres password file that fits every connection. */
export function pgPassLine(password: string): string {
  return `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`;
}

/** An identifier in the SQL of MySQL and MariaDB. */
export function mysqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A text in the SQL of MySQL and MariaDB, whatever `sql_mode` says: as hexadecimal digits. */
export function mysqlText(text: string): string {
  return text === '' ? "''" : `CONVERT(0x${Buffer.from(text).toString('hex')} USING utf8mb4)`;
}

/** A value in an option file of MySQL and MariaDB. */
export function mysqlOption(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('\r', '\\r')}"`;
}
