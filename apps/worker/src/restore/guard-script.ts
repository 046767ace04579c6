/**
 * What keeps two attempts at one restore apart on the server itself. Everything of a restore lies in a folder that
 * only its user enters; root's lies in /var/lib, anybody else's in the own home:
 *
 * - `fence`: number and token of the attempt that may act;
 * - `lock`: held shared by every command of that attempt for as long as it, or a child that it did not close the
 *   lock for, runs; held alone by whoever changes the fence;
 * - `journal.json`: how far the restore has come.
 *
 * The lock is the kernel's (flock(2)): it goes with the last process that has it open, however that ended.
 */
const FOLDER = `umask 077
[ "$(id -u)" = 0 ] && top=/var/lib/tarfleet || top=\${HOME:?}/.tarfleet
folder=$top/restores/$1
`;

/** Exit codes that no command of ours has: another attempt may act; the lock was not to be had; no space is left. */
export const SUPERSEDED = 98;
export const LOCKED = 97;
export const FULL = 96;
/** Kept free for the journal, so that going back can be written down on a full disk, in bytes. */
const RESERVE = 262_144;

/**
 * Arguments: job, attempt, token, `keep` or `close`, then a command, which runs under the guard; its exit code is
 * passed on. With `close` the command does not get the lock: what it starts may run for years. A shell of its own closes
 * it, since `command 9>&-` would have the waiting one keep it under another number (dash), where nobody looks for it.
 */
export const GUARD_SCRIPT = `mask=$(umask)
${FOLDER}mine="$2 $3" how=$4
shift 4
exec 9>>"$folder/lock" && flock -s -w 60 9 || exit ${LOCKED}
read -r fence <"$folder/fence" || fence=
[ "$fence" = "$mine" ] || exit ${SUPERSEDED}
umask "$mask"
if [ "$how" = close ]; then (exec 9>&- && exec "$@"); else "$@"; fi
exit $?`;

/**
 * Arguments: job, attempt, token. Makes this attempt the one that may act, and prints the journal. What an earlier
 * attempt still runs is ended first: every process that holds the lock, with its process group. A later attempt's
 * fence is respected.
 */
export const TAKE_SCRIPT = `${FOLDER}command -v flock >/dev/null || { printf 'There is no flock.\\n' >&2; exit 127; }
mkdir -p -- "$folder" && chmod 700 -- "$top/restores" "$folder" || exit 1
exec 8>>"$folder/lock" || exit 1
theirs() {
  fence=
  [ ! -e "$folder/fence" ] || read -r fence <"$folder/fence" || fence=
  [ "\${fence:-0}" = "$1 $2" ] || [ "\${fence%% *}" = '' ] || [ "\${fence%% *}" -lt "$1" ]
}
theirs "$2" "$3" || exit ${SUPERSEDED}
tries=0
until flock -n -x 8; do
  [ $tries -lt 150 ] || exit ${LOCKED}
  tries=$((tries + 1))
  for process in /proc/[0-9]*; do
    [ "$process/fd/9" -ef "$folder/lock" ] || continue
    { read -r stat <"$process/stat"; } 2>/dev/null || continue
    stat=\${stat##*) } stat=\${stat#* } stat=\${stat#* } group=\${stat%% *}
    [ "$group" -gt 1 ] && kill -KILL "-$group" 2>/dev/null
    kill -KILL "\${process#/proc/}" 2>/dev/null
  done
  sleep 0.1
done
theirs "$2" "$3" || exit ${SUPERSEDED}
put() {
  printf '%s %s\\n' "$1" "$2" >"$folder/.fence" && sync -- "$folder/.fence" && mv -f -T -- "$folder/.fence" "$folder/fence"
}
put "$2" "$3" 2>/dev/null || { rm -f -- "$folder/reserve"; put "$2" "$3"; } || exit ${FULL}
[ -e "$folder/reserve" ] || head -c ${RESERVE} /dev/zero >"$folder/reserve" 2>/dev/null || {
  rm -f -- "$folder/reserve"
  # Whoever takes over has to do with what there is.
  [ -e "$folder/journal.json" ] || { printf 'No space is left.\\n' >&2; exit ${FULL}; }
}
[ ! -e "$folder/journal.json" ] || cat -- "$folder/journal.json"`;

/** The last line of what WRITE_SCRIPT reads. */
export const WHOLE = '.\n';

/**
 * Argument: job. Reads the new journal, a line, and WHOLE from stdin, and puts the journal in the old one's place, whole
 * or not at all: where the connection ends before all has come, what there is ends like any other input.
 */
export const WRITE_SCRIPT = `${FOLDER}text=$(cat)
case $text in
  *'
.') text=\${text%??} ;;
  *) printf 'It did not arrive whole.\\n' >&2; exit 1 ;;
esac
put() {
  printf '%s\\n' "$text" >"$folder/.journal" && sync -- "$folder/.journal" && mv -f -T -- "$folder/.journal" "$folder/journal.json"
}
put 2>/dev/null || { rm -f -- "$folder/reserve"; put; } || exit 1
case $text in *'"phase":"ended"'*) rm -f -- "$folder/reserve" ;; esac
sync -f -- "$folder" 2>/dev/null
exit 0`;

/** Journals of restores that ended longer ago than this go when another one is written, in days. */
const KEPT_DAYS = 90;

/** Argument: job, whose own folder is left alone. */
export const TIDY_SCRIPT = `${FOLDER}find "$top/restores/" -mindepth 1 -maxdepth 1 ! -name "$1" -mtime +${KEPT_DAYS} -exec rm -rf --one-file-system -- {} + 2>/dev/null
exit 0`;
