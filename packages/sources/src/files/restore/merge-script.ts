import { ASIDE, ENTER_STAGE } from './stage.ts';

/**
 * Puts staged roots in their places. Arguments after the stage's: 1 or 0 for overwrite, then for each root its
 * path in the stage, its anchor and the rest, and the file in the stage for notes of what is added (empty: none).
 * Every line on stderr is a fault.
 *
 * How it keeps to the tree: it stands in the folder that it changes, and only after `cd -P` has led to exactly
 * the path that is meant; names are then single ones (`./x`), so a symlink that somebody puts in the way is at
 * most replaced, never followed. The stage is held open as descriptor 9, so nobody can put another in its place.
 * Everything is renamed; one `mv` takes many names.
 */
export const MERGE_SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
stage=/proc/self/fd/9 over=$1 count=0 device=$(stat -c %d .)
shift
[ -d "$stage/${ASIDE}" ] || { printf 'There is no /proc on the server.\\n' >&2; exit 1; }
[ "$over" = 1 ] && how=-f || how=-n

enter() {
  cd -P -- "$1" && [ "$PWD" = "$1" ] && return 0
  printf '%s is no longer the folder that it was: nothing was put there.\\n' "$1" >&2
  return 1
}

# What is to become of $1, staged, whose place is $2: move, both (folders), swap or skip.
judge() {
  verdict=move
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    if [ -d "$2" ] && [ ! -L "$2" ]; then verdict=both
    elif [ -e "$2" ] || [ -L "$2" ]; then verdict=swap
    fi
  elif [ -d "$2" ] && [ ! -L "$2" ]; then verdict=swap
  elif [ "$over" = 0 ] && { [ -e "$2" ] || [ -L "$2" ]; }; then verdict=skip
  fi
  [ "$verdict,$over" != swap,0 ] || verdict=skip
}

# A mount in or at ./$1 would be moved and then emptied with it.
holds_mount() {
  [ -d "$1" ] && [ ! -L "$1" ] || return 1
  while read -r _ _ _ _ point _; do
    case $point in *'\\'*) point=$(printf '%b.' "$point") point=\${point%.} ;; esac
    case $point in "\${PWD%/}/\${1#./}" | "\${PWD%/}/\${1#./}"/*) return 0 ;; esac
  done </proc/self/mountinfo
  return 1
}

# Where one is a folder and the other is not: the old one leaves its place first. Its path is noted, so that it
# goes back if all ends between the two moves.
swap() {
  if holds_mount "$2"; then
    printf '%s/%s holds a mount: it was left as it is.\\n' "$PWD" "\${2#./}" >&2
    return
  fi
  count=$((count + 1)) folder=
  [ -L "$2" ] || [ ! -d "$2" ] || folder=\${PWD%/}/\${2#./}
  printf '%s' "\${PWD%/}/\${2#./}" >"$stage/${ASIDE}/$count.path" || return
  mv -f -T -- "$2" "$stage/${ASIDE}/$count" || return
  if mv -f -T -- "$1" "$2"; then [ -z "$folder" ] || printf '%s\\0' "$folder"
  else mv -f -T -- "$stage/${ASIDE}/$count" "$2"
  fi
}

# Pairs for whoever takes it back: when the folder $1 was changed before, and which inodes are moved. They are on the
# disk before the first move is.
take_note() {
  [ -n "$notes" ] || return 0
  folder=$1
  shift
  {
    printf 't%s\\0%s\\0' "$(stat -c %y .)" "$folder"
    stat --printf '%d:%i\\0%n\\0' -- "$@"
  } >>"$notes" && sync "$notes"
}

# What went to another filesystem was copied, and is another inode there.
note_copies() {
  [ -n "$notes" ] && [ "$(stat -c %d .)" != "$device" ] || return 0
  for moved do note_copy "$moved" "\${moved##*/}"; done
}
note_copy() {
  there "$1" || printf '%s\\0%s\\0' "$(stat -c %d:%i "./$2")" "$1" >>"$notes"
}

there() { [ -e "$1" ] || [ -L "$1" ]; }

put() {
  staged=$1
  shift 3
  take_note "$staged" "$@" && mv $how -t . -- "$@" && note_copies "$@"
}

# The staged folder $1 into the folder $2. $3 is its time, which changes when something is taken out of it.
# Functions have no variables of their own but their arguments.
merge() {
  enter "$2" || return
  if [ "$over" = 1 ]; then set -- "$1" "$2" "$(stat -c %y -- "$1")"; else set -- "$1" "$2" ''; fi
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    judge "$entry" "./\${entry##*/}"
    case $verdict in
      move)
        set -- "$@" "$entry"
        if [ $# -ge 203 ]; then put "$@"; set -- "$1" "$2" "$3"; fi ;;
      swap) swap "$entry" "./\${entry##*/}" ;;
    esac
  done
  if [ $# -gt 3 ]; then put "$@"; set -- "$1" "$2" "$3"; fi
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -d "$entry" ] && [ ! -L "$entry" ] || continue
    judge "$entry" "$2/\${entry##*/}"
    [ "$verdict" = both ] || continue
    merge "$entry" "$2/\${entry##*/}"
    set -- "$1" "$2" "$3" below
  done
  [ "$over" = 1 ] || return
  if [ "\${4-}" = below ]; then
    find "$1/" -mindepth 1 -maxdepth 1 -type d -empty -delete
    enter "$2" || return
  fi
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    printf '%s could not be restored completely.\\n' "$2" >&2
    return
  done
  # The staged folder is empty now: this gives owner, mode, times, ACL and attributes, and nothing else.
  cp -a -T -- "$1" .
  touch -m -d "$3" .
}

while [ $# -ge 4 ]; do
  root=$stage/$1 anchor=$2 rest=$3 notes=\${4:+$stage/$4}
  shift 4
  [ -e "$root" ] || [ -L "$root" ] || continue
  enter "$anchor" || continue
  umask 022
  while [ "$rest" != "\${rest#*/}" ]; do
    if [ ! -d "./\${rest%%/*}" ]; then
      if [ -n "$notes" ]; then
        printf 't%s\\0%s\\0m\\0%s\\0' "$(stat -c %y .)" "$anchor" "\${anchor%/}/\${rest%%/*}" >>"$notes" && sync "$notes"
      fi
      mkdir -- "./\${rest%%/*}"
    fi
    anchor=\${anchor%/}/\${rest%%/*} rest=\${rest#*/}
    enter "$anchor" || continue 2
  done
  umask 077
  judge "$root" "./$rest"
  case $verdict in
    move) take_note "$anchor" "$root" && mv $how -T -- "$root" "./$rest" && { [ -z "$notes" ] || note_copy "$root" "$rest"; } ;;
    swap) swap "$root" "./$rest" ;;
    both) merge "$root" "\${anchor%/}/$rest" ;;
  esac
done
exit 0`;
