/**
 * What lies in a restore's folder on the server: `{name}.new.sql` are statements and rows to come; `old.sql`, which psql prints
 * while they run, are the rows that were there, after the number of the transaction. The same of going back is `undo.out`;
 * once that is done, `old.sql` is `undone.sql`.
 */

/**
 * Arguments: folder, file to print to, files to read (with spaces between), `secret` or `none`, then the command. With `secret`
 * the first line of stdin goes before the files. A file that cannot be read ends the input, and so never comes to its commit.
 */
export const RUN_SCRIPT = `folder=$1 out=$2 files=$3 how=$4
shift 4
mask=$(umask)
umask 077
: >"$folder/$out" || exit
umask "$mask"
[ "$how" = none ] || IFS= read -r line || exit
{
  [ "$how" = none ] || printf '%s\\n' "$line"
  for file in $files; do cat -- "$folder/$file" || exit 1; done
} | "$@" >"$folder/$out"`;

/** Arguments: folder, file. Prints \`gone\` without the folder, \`none\` without the file, else its first line. */
export const FIRST_LINE_SCRIPT = `[ -d "$1" ] || { echo gone; exit 0; }
[ -f "$1/$2" ] || { echo none; exit 0; }
head -n 1 -- "$1/$2"`;

/** Argument: folder. */
export const UNDONE_SCRIPT = 'mv -f -T -- "$1/old.sql" "$1/undone.sql" && sync -- "$1"';

/** Arguments: folder, file, bytes. Whether it arrived whole. */
export const ARRIVED_SCRIPT = `[ "$(stat -c %s -- "$1/$2")" = "$3" ] || { printf 'The rows did not arrive whole.\\n' >&2; exit 1; }`;

/** Argument: folder. All of it on its disk. */
export const SYNC_SCRIPT = 'sync -- "$1"/* "$1"';
