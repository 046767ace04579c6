/**
 * What the scripts on the server share: a text of its own, since the shells that xargs starts need it as well. They
 * stand in the stage first; `$stage` leads there whatever becomes of its name, `$home` is its path.
 *
 * How they keep to the tree: a folder is entered by `cd -P`, and only if that leads to exactly the path that is
 * meant; names are single ones from there (`./x`). A symlink that somebody puts in the way is moved, not followed.
 */
export const FUNCTIONS = `set -f
stage=/proc/self/fd/9

there() { [ -e "$1" ] || [ -L "$1" ]; }
fault() { printf '%s\\n' "$1" >&2; return 1; }

enter() {
  cd -P -- "$1" 2>/dev/null && [ "$PWD" = "$1" ] && return 0
  fault "$1 is no longer the folder that it was."
}

# Stands in the folder that holds the place, $2 below $1; its last part is name. 3: a folder on the way is missing,
# unless $3 says to make it. standing counts those that were there.
descend() {
  enter "$1" || return 1
  folder=$1 name=$2 standing=0
  while [ "$name" != "\${name#*/}" ]; do
    part=\${name%%/*}
    if there "./$part"; then standing=$((standing + 1))
    elif [ "\${3-}" = make ]; then
      time=$(stat -c %y .)
      (umask 022 && mkdir -- "./$part") || return 1
      touch -m -d "$time" . 2>/dev/null
    else return 3
    fi
    folder=\${folder%/}/$part name=\${name#*/}
    enter "$folder" || return 1
  done
}

# Whether something is mounted at $1 or below.
mounted() {
  while read -r _ _ _ _ point _; do
    case $point in *'\\'*) point=$(printf '%b.' "$point") point=\${point%.} ;; esac
    case $point in "$1" | "$1"/*) return 0 ;; esac
  done </proc/self/mountinfo
  return 1
}

# Of the folder that is open as descriptor $1.
mount_of() {
  while read -r key mount; do [ "$key" != mnt_id: ] || return 0; done <"/proc/self/fdinfo/$1"
  mount=
}

# Renames, and never copies: half a copy would be neither old nor new.
rename() {
  case \${tool:=$(mv --help 2>/dev/null | grep -q -e --no-copy && echo mv || { perl -e 1 2>/dev/null && echo perl; } || echo none)} in
    mv) mv --no-copy -f -T -- "$1" "$2" ;;
    perl) perl -e 'rename $ARGV[0], $ARGV[1] or die "$ARGV[0] cannot be renamed: $!\\n"' -- "$1" "$2" ;;
    *)
      exec 7<. && mount_of 7 && one=$mount && mount_of 9 && exec 7<&-
      [ -n "$one" ] && [ "$one" = "$mount" ] && [ "$(stat -c %d .)" = "$(stat -c %d "$stage")" ] ||
        fault "$PWD is on another filesystem than it was." || return
      mv -f -T -- "$1" "$2" ;;
  esac
}

# What nobody knows of goes out of the way, and is kept.
put_aside() {
  aside=$(mktemp -d "$stage/found/XXXXXX") && rename "$1" "$aside/it"
}

# Writes a note, $2, that is there wholly and for good, or not at all.
note() {
  printf '%s\\n' "$2" >"$stage/state/.new" && sync "$stage/state/.new" &&
    mv -f -T -- "$stage/state/.new" "$stage/state/$1" && sync "$stage/state"
}

# Goes down from $1, in the stage, to $2 below it. What is missing is made as it is below $3, when that is given; else 3.
reach() {
  enter "$home/$1" || return 1
  below=$home/$1 left=$2
  while [ "$left" != . ] && [ -n "$left" ]; do
    part=\${left%%/*}
    if ! there "./$part" && [ -n "\${3-}" ]; then
      like=$home/$3\${below#"$home/$1"}
      time=$(stat -c %y .)
      (enter "$like" && exec tar $carry --no-recursion --create --file=- -- "./$part") |
        tar $carry --extract --preserve-permissions --same-owner --file=- || return 1
      touch -m -d "$time" . 2>/dev/null
    fi
    there "./$part" || return 3
    below=$below/$part
    enter "$below" || return 1
    case $left in */*) left=\${left#*/} ;; *) left=. ;; esac
  done
}

# A group of survivors: $1 says what to do, $2 is where they are, $3 where they are to go (both in the stage), $4 the
# folder below both, $5 and $6 its times in the old tree and in the new one, then names.
survivors() {
  what=$1 from=$2 to=$3 parent=$4 old_time=$5 new_time=$6
  shift 6
  if [ "$what" = check ]; then
    left=$parent below=$home/$to
    [ -d "$below" ] && [ ! -L "$below" ] || fault "It is no folder in the backup, but $parent/$1 in it is to be kept." || return
    while [ "$left" != . ] && [ -n "$left" ]; do
      below=$below/\${left%%/*}
      there "$below" || return 0
      [ -d "$below" ] && [ ! -L "$below" ] ||
        fault "\${below#"$home/$to/"} is no folder in the backup, but $parent/$1 is to be kept." || return
      case $left in */*) left=\${left#*/} ;; *) left=. ;; esac
    done
    return 0
  fi
  # In the way of what is kept: only where it would come in the end, which is $to.
  [ "$what" != hide ] || from=$to
  reach "$from" "$parent"
  case $? in 0) ;; 3) return 0 ;; *) return 1 ;; esac
  for one do
    shift
    [ -z "$one" ] || ! there "./$one" || set -- "$@" "$one"
  done
  if [ "$what" = hide ]; then
    for one do put_aside "./$one" || return; done
    return 0
  fi
  if [ "$what" = list ]; then
    [ $# -gt 0 ] || return 0
    old_time=$(stat -c %y .) new_time=
    if reach "$to" "$parent"; then new_time=$(stat -c %y .); fi
    printf '%s\\0' "$parent" "$old_time" "\${new_time:-$old_time}" "$@"
    count=$#
    while [ $count -lt 30 ]; do printf '\\0'; count=$((count + 1)); done
    return 0
  fi
  if [ "$what" = out ]; then
    like=$from
    set -- "$old_time" "$new_time" "$@"
  else
    like=
    set -- '' "$old_time" "$@"
  fi
  reach "$to" "$parent" "$like" && exec 8<. || return
  from_time=$1 to_time=$2
  shift 2
  for one do
    shift
    if there "./$one"; then
      # Back: what is there already came before.
      [ "$what" = out ] || continue
      put_aside "./$one" || return
    fi
    set -- "$@" "./$one"
  done
  reach "$from" "$parent" || return
  [ $# = 0 ] || mv -f -t /proc/self/fd/8 -- "$@" || return
  # Also where nothing is left to do: it may have broken off right here.
  [ -z "$from_time" ] || touch -m -d "$from_time" . && touch -m -d "$to_time" /proc/self/fd/8/.
}

# Does it with a list of such groups, each of 33 records: folder, times, names.
with_list() {
  list=$1
  shift
  xargs -0 -r -x -n 33 -s 200000 sh -c "$functions
home=\\$1 carry=\\$2 functions=
shift 2
survivors \\"\\$@\\"" sh "$home" "$carry" "$@" <"$list"
}
`;
