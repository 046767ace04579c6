/** Exit codes that no tool has: the secret did not arrive; it could not be put down. */
export const NOT_ARRIVED = 94;
export const NOT_PUT_DOWN = 93;

/**
 * Runs a database's tool with its password, which comes as the first line of stdin, in base64; what follows it is the
 * tool's own input. Arguments: how the tool takes the password, the user to run it as (or nothing), then the command.
 *
 * - `none`: there is none, and no such line.
 * - `file` or `file:NAME`: in a file that is open as number 3, `/dev/fd/3`, and has no name any more when the password is
 *   written; it goes with the last process that has it open, however that ends. NAME is a variable that tells its path.
 * - `env:NAME`: in a variable, for tools that take it no other way. Only the same user and root can look at it there.
 *
 * What `printf` and `read` are given is in no list of processes: they are the shell's own.
 */
export const TOOL_SCRIPT = `how=$1 user=$2
shift 2
[ -z "$user" ] || [ "$(id -un)" != "$user" ] || user=
[ "$how" = none ] || IFS= read -r line || exit ${NOT_ARRIVED}
case $how in
file*)
  mask=$(umask)
  umask 077
  folder=/dev/shm
  [ -d "$folder" ] && [ -w "$folder" ] || folder=\${TMPDIR:-/tmp}
  file=$(mktemp "$folder/tarfleet.XXXXXXXXXXXX") && exec 3<>"$file" && rm -f -- "$file" || exit ${NOT_PUT_DOWN}
  printf '%s' "$line" | base64 -d >&3 || exit ${NOT_PUT_DOWN}
  [ -z "$user" ] || chown -- "$user" /dev/fd/3 || exit ${NOT_PUT_DOWN}
  [ "$how" = file ] || export "\${how#file:}=/dev/fd/3"
  umask "$mask"
  ;;
env:*)
  value=$(printf '%s' "$line" | base64 -d) || exit ${NOT_PUT_DOWN}
  export "\${how#env:}=$value"
  ;;
esac
unset line value
[ -n "$user" ] || exec "$@"
HOME=$(getent passwd "$user" | cut -d: -f6)
export HOME
exec runuser -u "$user" -- "$@"`;
