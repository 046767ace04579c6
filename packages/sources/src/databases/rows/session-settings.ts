/** How long a session waits for a table that somebody else has locked. */
const LOCK_WAIT = '10min';

/**
 * What values look like as text, and that nothing is left out in silence: where row security would hide rows, the
 * statement fails. Of an error psql tells what it is, but not the row that it is about.
 */
export const SESSION_SETTINGS = [
  "SET client_encoding = 'UTF8'",
  "SET datestyle = 'ISO'",
  "SET intervalstyle = 'postgres'",
  "SET timezone = 'UTC'",
  'SET extra_float_digits = 3',
  "SET bytea_output = 'hex'",
  'SET xmloption = content',
  'SET row_security = off',
  'SET statement_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  `SET lock_timeout = '${LOCK_WAIT}'`,
]
  .map((one) => `${one};\n`)
  .join('')
  .concat('\\set VERBOSITY terse\n');
