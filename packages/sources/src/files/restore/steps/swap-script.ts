import { ENTER_STAGE } from '../stage.ts';

/**
 * Roots by rename. Arguments after the stage's: the shared functions, options for tar, what to do (`check`, `apply`,
 * `undo`), then for each root its number, anchor, rest and the identity of its new tree.
 *
 * In the stage: `new/N` the new root, until it is in its place; `old/N` what was there; `keep/N` the list of what is
 * to survive, `moved/N` what of it was moved; `state/N` what was there before the first rename. Which of new and old
 * exist tells how far it came, so both ways can be gone again from wherever they broke off.
 */
export const SWAP_SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
functions=$1 carry=$2 what=$3 home=$PWD
shift 3
eval "$functions"
[ -d "$stage/state" ] || fault 'There is no /proc on the server.' || exit 1
# A way back that was kept alone lacks them.
mkdir -p -- "$stage/new" "$stage/found" || exit 1

check_root() {
  there "$stage/new/$1" || return 0
  ! mounted "\${2%/}/$3" || fault "\${2%/}/$3 has got a mount: it cannot be replaced." || return
  [ ! -s "$stage/keep/$1" ] || [ -f "$stage/state/$1" ] || with_list "$stage/keep/$1" check "old/$1" "new/$1"
}

apply_root() {
  there "$stage/new/$1" || return 0
  if [ ! -f "$stage/state/$1" ]; then
    descend "$2" "$3"
    case $? in
      0) ! there "./$name" && state="absent $standing" || state="present $standing" ;;
      3) state="absent $standing" ;;
      *) return 1 ;;
    esac
    note "$1" "$state" || return
  fi
  read -r state _ <"$stage/state/$1"
  [ "$state" != undone ] || fault "\${2%/}/$3 was put back already." || return
  descend "$2" "$3" make || return
  parent_time=$(stat -c %y .)
  if there "./$name"; then
    if [ "$state" = present ] && ! there "$stage/old/$1"; then rename "./$name" "$stage/old/$1" || return
    else put_aside "./$name" || return
    fi
  fi
  if [ -s "$stage/keep/$1" ] && [ -d "$stage/old/$1" ] && [ ! -L "$stage/old/$1" ]; then
    if [ ! -f "$stage/moved/$1" ]; then
      with_list "$stage/keep/$1" list "old/$1" "new/$1" >"$stage/moved/.new" && sync "$stage/moved/.new" &&
        mv -f -T -- "$stage/moved/.new" "$stage/moved/$1" && sync "$stage/moved" || return
    fi
    with_list "$stage/moved/$1" out "old/$1" "new/$1" || return
    descend "$2" "$3" || return
  fi
  rename "$stage/new/$1" "./$name" || return
  touch -m -d "$parent_time" . 2>/dev/null
  sync . "$stage/new" "$stage/old"
}

# The folders that were made on the way go again, the lowest first, unless somebody uses them.
undone() {
  rest=$3
  while [ "$state" = absent ] && [ "$rest" != "\${rest#*/}" ]; do
    rest=\${rest%/*}
    descend "$2" "$rest" || { [ $? = 3 ] && continue; break; }
    [ "$standing" -ge "$before" ] || break
    parent_time=$(stat -c %y .)
    ! there "./$name" || rmdir -- "./$name" 2>/dev/null || break
    touch -m -d "$parent_time" . 2>/dev/null
  done
  note "$1" undone
}

undo_root() {
  [ -f "$stage/state/$1" ] || return 0
  read -r state before <"$stage/state/$1"
  [ "$state" != undone ] || return 0
  if [ "$state" = present ] && ! there "$stage/old/$1"; then
    there "$stage/new/$1" || fault "What was in \${2%/}/$3 before is gone from $home." || return
    note "$1" undone
    return
  fi
  ! mounted "\${2%/}/$3" || fault "\${2%/}/$3 has got a mount: unmount it first." || return
  descend "$2" "$3"
  case $?,$state in
    0,*) ;;
    3,absent) undone "$1" "$2" "$3"; return ;;
    *) fault "\${2%/}/$3 cannot be put back: the folder around it is gone. It is in $home/old/$1."; return ;;
  esac
  parent_time=$(stat -c %y .)
  if there "./$name"; then
    if ! there "$stage/new/$1" && [ "$(stat -c %d:%i "./$name")" = "$4" ]; then rename "./$name" "$stage/new/$1" || return
    elif [ "$state" = present ] || ! there "$stage/new/$1"; then put_aside "./$name" || return
    fi
  fi
  if [ "$state" = present ]; then
    if [ -s "$stage/moved/$1" ] && there "$stage/new/$1"; then
      with_list "$stage/moved/$1" back "new/$1" "old/$1" || return
      descend "$2" "$3" || return
    fi
    rename "$stage/old/$1" "./$name" || return
  fi
  touch -m -d "$parent_time" . 2>/dev/null
  sync . "$stage/new" "$stage/old"
  undone "$1" "$2" "$3"
}

each() {
  verb=$1 failed=0
  shift
  while [ $# -ge 4 ]; do
    "$verb" "$1" "$2" "$3" "$4" || { failed=1; [ "$verb" = undo_root ] || break; }
    shift 4
  done
  return $failed
}

case $what in
  check) each check_root "$@" || exit 2 ;;
  apply) each check_root "$@" || exit 2; each apply_root "$@" ;;
  undo) each undo_root "$@" ;;
esac`;
