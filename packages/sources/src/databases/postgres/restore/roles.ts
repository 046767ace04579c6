/** What of a dump of roles makes those that a server lacks; what it says of others is left out. */
export interface MissingRoles {
  names: string[];
  statements: string;
}

/** An identifier as pg_dumpall writes it. */
const IDENTIFIER = '("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)';
const CREATE = new RegExp(`^CREATE ROLE ${IDENTIFIER};$`);
const ALTER = new RegExp(`^ALTER ROLE ${IDENTIFIER} `);
const GRANT = new RegExp(`^GRANT ${IDENTIFIER} TO ${IDENTIFIER}(?= |;)(.*)$`);

/**
 * `existing` are the server's roles. Of pg_dumpall's statements, one to a line, those are chosen that create a missing
 * role, say how it is, and make it a member of others.
 */
export function missingRoles(dump: string, existing: ReadonlySet<string>): MissingRoles {
  const lines = dump.split('\n');
  const missing = new Set<string>();
  for (const line of lines) {
    const name = nameIn(CREATE.exec(line)?.[1]);
    if (name !== null && !existing.has(name)) missing.add(name);
  }
  const chosen = lines.flatMap((line) => {
    const own = nameIn((CREATE.exec(line) ?? ALTER.exec(line))?.[1]);
    if (own !== null) return missing.has(own) ? [line] : [];
    const grant = GRANT.exec(line);
    const member = nameIn(grant?.[2]);
    if (member === null || !missing.has(member)) return [];
    // Who granted it may not be there.
    return [line.replace(new RegExp(` GRANTED BY ${IDENTIFIER};$`), ';')];
  });
  return { names: [...missing], statements: chosen.join('\n') };
}

function nameIn(identifier: string | undefined): string | null {
  if (identifier === undefined) return null;
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}
