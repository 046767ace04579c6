import { pgText } from '../names.ts';

/** Statements of PL/pgSQL as one of SQL, which prints nothing. */
export function doBlock(body: string): string {
  let tag = '$tarfleet$';
  for (let at = 0; body.includes(tag); at += 1) tag = `$tarfleet${at}$`;
  return `DO ${tag}${body}${tag};\n`;
}

/** Ends the transaction with these words when the condition is true. */
export function raiseIf(condition: string, words: string): string {
  return `BEGIN IF ${condition} THEN RAISE EXCEPTION USING MESSAGE = ${pgText(words)}; END IF; END;`;
}
