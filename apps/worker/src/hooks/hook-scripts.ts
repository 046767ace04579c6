/**
 * What is written down on the server around a backup's commands, so that the second of them runs whatever becomes of the
 * worker: in a folder that only the user enters, a file for each service that says which command is owed, and to which
 * attempt it belongs.
 */
const FOLDER = `mask=$(umask)
umask 077
[ "$(id -u)" = 0 ] && top=/var/lib/tarfleet || top=\${HOME:?}/.tarfleet
folder=$top/hooks
mkdir -p -- "$folder" && chmod 700 -- "$folder" || exit 1
`;

/** An exit code that a hook is not expected to have: the command is no longer owed to this attempt. */
export const NOT_OWED = 95;

/** Argument: service. Prints what is owed, or nothing: the attempt on a line of its own, then the command as JSON. */
export const OWED_SCRIPT = `${FOLDER}[ ! -e "$folder/$1" ] || cat -- "$folder/$1"`;

/** Arguments: service, attempt. Reads the command from stdin; from now on it is owed. */
export const OWE_SCRIPT = `${FOLDER}{ printf '%s\\n' "$2" && cat; } >"$folder/.$1" && sync -- "$folder/.$1" && mv -f -T -- "$folder/.$1" "$folder/$1"`;

/**
 * Arguments: service, attempt or nothing, seconds, then a command, which runs alone of its service: one that an earlier
 * attempt left running is waited for. With an attempt it runs only while it is owed to that one, and
 * is owed no longer once it has ended. What it leaves running holds nothing.
 */
export const RUN_SCRIPT = `${FOLDER}service=$1 attempt=$2
exec 9>>"$folder/$1.lock" || exit 1
! command -v flock >/dev/null || flock -w "$3" 9 || { printf 'The command of an earlier attempt still runs.\\n' >&2; exit 1; }
shift 3
if [ -n "$attempt" ]; then
  owner=
  [ ! -e "$folder/$service" ] || read -r owner <"$folder/$service"
  [ "$owner" = "$attempt" ] || exit ${NOT_OWED}
fi
umask "$mask"
(exec 9>&- && exec "$@")
code=$?
[ -z "$attempt" ] || rm -f -- "$folder/$service"
exit $code`;
