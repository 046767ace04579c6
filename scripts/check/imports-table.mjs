import { readText } from './files.mjs';

/** The table of rooms in CONTRIBUTING.md says what the rules enforce. `forbidden` are the rules. */
export function compareTable(forbidden) {
  const rows = new Map();
  for (const line of readText('CONTRIBUTING.md').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    if (/^(packages|apps)\/[a-z0-9-]+$|^(bench|e2e)$/.test(cells[1] ?? '')) rows.set(cells[1], cells[3]);
  }
  const problems = [];
  for (const { name, comment } of forbidden.filter((rule) => rule.name.startsWith('room-'))) {
    const [, folder, rooms] = /^(\S+) may import (.+)\.$/.exec(comment) ?? [];
    const enforced = rooms === 'no other room' ? 'nothing but typebox' : rooms;
    if (rows.get(folder) === undefined)
      problems.push(`CONTRIBUTING.md's table of rooms lacks ${folder} (${name}).`);
    else if (!same(rows.get(folder), enforced)) {
      problems.push(
        `CONTRIBUTING.md says that ${folder} may import ${rows.get(folder)}; enforced is ${enforced}.`,
      );
    }
    rows.delete(folder);
  }
  for (const folder of rows.keys())
    problems.push(`CONTRIBUTING.md names ${folder}, for which no rule is enforced.`);
  return problems;
}

function same(one, other) {
  const sorted = (list) => list.split(', ').sort().join();
  return sorted(one) === sorted(other);
}
