/** Argument: the database. Prints about how many bytes a copy of it has, its owner's numbers and its mode. */
export const LOOK_SCRIPT = `[ -e "$1" ] || { printf 'No such file.\\n' >&2; exit 1; }
[ -f "$1" ] || { printf 'It is no file.\\n' >&2; exit 1; }
stat -L -c '%s %u:%g %a' -- "$1"`;

/**
 * Copies a SQLite database with the backup API and prints a line about it, then the copy. Arguments: the database, the
 * service's id, the program.
 *
 * The copy cannot be streamed as it is made, for its pages are written in any order. It is made in a folder beside
 * the database that only this user enters, and has no name any more before the first of its bytes is sent: so it goes with
 * the process that reads it, however that ends. A folder that is left of a run that was killed before that is removed by the
 * next one. BEGIN and the first SELECT hold one snapshot for all of the copying, so it neither starts again
 * when somebody writes nor sees what they write; in WAL mode writers do not wait for it.
 */
export const BACKUP_SCRIPT = `umask 077
database=$1 sqlite=$3
folder=$(dirname -- "$(readlink -f -- "$database")") && cd -P -- "$folder" || exit 1
database=$folder/$(basename -- "$(readlink -f -- "$database")")
work=.tarfleet-sqlite-$2
rm -rf -- ./"$work"
trap 'cd -- "$folder" && rm -rf -- "./$work"' EXIT
trap 'exit 1' HUP INT TERM PIPE
mkdir -- ./"$work" && cd -- ./"$work" || exit 1
run() { "$sqlite" -batch -bail -init /dev/null "$@"; }
needed=$(run "$database" 'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size') || exit
free=$(df --output=avail -B1 . | tail -n 1) || exit 1
[ "$free" -gt "$needed" ] || { printf 'A copy of %s bytes does not fit: %s has %s bytes free.\\n' "$needed" "$folder" "$free" >&2; exit 1; }
run -cmd '.timeout 60000' "$database" >/dev/null <<'END' || exit
BEGIN;
SELECT count(*) FROM sqlite_schema;
.backup main copy
END
run copy "SELECT 'SELECT count(*) FROM \\"' || replace(name, '\\"', '\\"\\"') || '\\";' FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'" >tables || exit
tables=$(wc -l <tables)
records=$(run copy <tables 2>/dev/null | awk '{ sum += $1 } END { printf "%d", sum }')
sound=damaged
[ "$(run copy 'PRAGMA quick_check(1)' 2>/dev/null)" != ok ] || sound=ok
version=$("$sqlite" --version | cut -d' ' -f1)
exec 4<copy || exit 1
cd -- "$folder" && rm -rf -- "./$work" || exit 1
printf '%s %s %s %s %s\\n' "$version" "$((tables))" "$records" "$(stat -L -c %s /dev/fd/4)" "$sound"
exec cat <&4`;
