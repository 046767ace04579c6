/**
 * Where the dumps of a restore lie on the server: in a folder that only their user enters. `{n}.new.sql` is what comes,
 * `{n}.old.sql` what was there (it has that name once it is whole), `{n}.state` how far the n-th database has come:
 * `begun` before it is made anew, `applied` after that, `undone`.
 */
const TOP = `umask 077
[ "$(id -u)" = 0 ] && top=/var/lib/tarfleet || top=\${HOME:?}/.tarfleet
top=$top/databases
`;

/** Argument: job. Prints the folder and, on a line of its own, how many bytes are free around it. Makes no more than the folder around. */
export const LOOK_SCRIPT = `${TOP}mkdir -p -- "$top" && chmod 700 -- "$top" && printf '%s\\n' "$top/$1" && df --output=avail -B1 -- "$top" | tail -n 1`;

/** Argument: the folder. Makes it anew. */
export const STAGE_SCRIPT = 'umask 077; rm -rf -- "$1" && mkdir -- "$1"';

/** Arguments: folder, file. Writes stdin to it. */
export const WRITE_SCRIPT = 'umask 077; cd -- "$1" && exec cat >"./$2"';

/** Arguments: folder, file, bytes. Whether it arrived whole. */
export const WHOLE_SCRIPT = 'cd -- "$1" && [ "$(stat -c %s -- "./$2")" = "$3" ] && sync -- "./$2"';

/** Arguments: file, then the client's command. Loads it. */
export const LOAD_SCRIPT = 'file=$1; shift; exec "$@" <"$file"';

/** As LOAD_SCRIPT, without the events, which would begin to happen. */
export const LOAD_WITHOUT_EVENTS_SCRIPT =
  'file=$1; shift; sed \'/^-- Dumping events for database /,/^-- Dumping routines for database /d\' "$file" | "$@"';

/** Arguments: file, then the dump's command. It has its name once it is whole. */
export const SAVE_SCRIPT = `umask 077
file=$1; shift
"$@" >"$file.part" || exit
[ "$(tail -n 1 -- "$file.part" | cut -c1-17)" = '-- Dump completed' ] || { printf 'The dump has no end.\\n' >&2; exit 1; }
sync -- "$file.part" && mv -f -T -- "$file.part" "$file"`;

/** Arguments: folder, number. Prints the state, then whether there is an old dump. */
export const STATE_SCRIPT = `cd -- "$1" 2>/dev/null || { echo gone; exit 0; }
if [ -f "./$2.state" ]; then cat "./$2.state"; else echo none; fi
if [ -f "./$2.old.sql" ]; then echo old; else echo nothing; fi`;

/** Arguments: folder, number, state. */
export const NOTE_SCRIPT = `umask 077
cd -- "$1" && printf '%s\\n' "$3" >"./.$2.state" && sync -- "./.$2.state" && mv -f -T -- "./.$2.state" "./$2.state"`;

/** Arguments: folder, \`keep\` or \`remove\`. */
export const FORGET_SCRIPT = `case $1 in */databases/?*) ;; *) exit 1 ;; esac
if [ "$2" = keep ]; then rm -f -- "$1"/*.new.sql; else rm -rf --one-file-system -- "$1"; fi`;
