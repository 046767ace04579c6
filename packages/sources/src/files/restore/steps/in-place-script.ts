import { ENTER_STAGE } from '../stage.ts';

/** The beginning of each: the shared functions, options for tar, a root's number, anchor and rest. */
const BEGIN = `${ENTER_STAGE}exec 9<. || exit 1
functions=$1 carry=$2 home=$PWD
eval "$functions"
at=$3 anchor=$4 rest=$5
shift 5
mkdir -p -- "$stage/found" || exit 1
`;

/** Prints how far a root came: its note, or nothing. */
export const STATE_SCRIPT = `${BEGIN}[ ! -f "$stage/state/$at" ] || cat "$stage/state/$at"`;

/** Notes `$1` for the root. */
export const NOTE_SCRIPT = `${BEGIN}note "$at" "$1"`;

/**
 * Archives what is in the place: `old/N.tar`, whole or not at all. `skip/N` names what is left out (members of tar, a
 * line each). Prints what the place is: a folder, something else or nothing.
 */
export const ARCHIVE_SCRIPT = `${BEGIN}descend "$anchor" "$rest"
case $? in 0) ;; 3) echo absent; exit 0 ;; *) exit 1 ;; esac
there "./$name" || { echo absent; exit 0; }
kind=other what=./$name
if [ -d "./$name" ] && [ ! -L "./$name" ]; then
  kind=directory
  enter "\${PWD%/}/$name" || exit 1
  what=.
fi
words=$(tar $carry --create --format=posix --file="$stage/old/$at.part" --sparse --no-wildcards --anchored \
  --exclude-from="$stage/skip/$at" -- "$what" 2>&1 >/dev/null) ||
  { [ $? = 1 ] && ! printf '%s\\n' "$words" | grep -v -e ': socket ignored$' -e '^$' | grep -q .; } ||
  fault "The old content could not be archived: $words" || exit 1
sync "$stage/old/$at.part" && mv -f -T -- "$stage/old/$at.part" "$stage/old/$at.tar" && sync "$stage/old" || exit 1
echo "$kind"`;

/** Removes what is in the folder `$1` below the place, but for the names on stdin, which are sorted, NUL between. */
export const CLEAR_SCRIPT = `${BEGIN}descend "$anchor" "$rest"
case $? in 0) ;; 3) exit 0 ;; *) exit 1 ;; esac
folder=\${PWD%/}/$name\${1:+/$1}
there "$folder" || exit 0
enter "$folder" || exit 1
cat >"$stage/names" || exit 1
find . -mindepth 1 -maxdepth 1 -printf './%f\\0' | sort -z | comm -z -2 -3 - "$stage/names" |
  xargs -0 -r rm -rf --one-file-system --`;

/** Removes the place itself. */
export const REMOVE_SCRIPT = `${BEGIN}descend "$anchor" "$rest"
case $? in 0) ;; 3) exit 0 ;; *) exit 1 ;; esac
! mounted "\${PWD%/}/$name" || fault "\${PWD%/}/$name has got a mount." || exit 1
rm -rf --one-file-system -- "./$name"`;

/** Hides in the staged folder `$1` what would come where something is kept; `check` as `$2` only looks whether that is possible. */
export const HIDE_SCRIPT = `${BEGIN}[ ! -s "$stage/keep/$at" ] || ! there "$stage/$1" || with_list "$stage/keep/$at" "$2" "$1" "$1"`;

/** Unpacks the archive into `back/N`, anew. What else than a folder it was is that itself. */
export const UNPACK_SCRIPT = `${BEGIN}rm -rf -- "$stage/back/$at" && mkdir -p -- "$stage/back/$at" || exit 1
tar $carry --extract --preserve-permissions --same-owner --delay-directory-restore --file="$stage/old/$at.tar" --directory="$stage/back/$at" || exit 1
[ "$1" = directory ] && exit 0
mv -f -T -- "$stage/back/$at/\${rest##*/}" "$stage/back/$at.one" && rm -rf -- "$stage/back/$at" &&
  mv -f -T -- "$stage/back/$at.one" "$stage/back/$at"`;

/** Keeps the times of the folders in the staged folder `$1`, which change as things are taken out of them. */
export const KEEP_TIMES_SCRIPT = `${BEGIN}cd -P -- "$home" || exit 1
find "./$1" -type d -printf '%T@\\0%p\\0' >"$stage/times-$at.new" && mv -f -T -- "$stage/times-$at.new" "$stage/times-$at"`;

/** Gives them back to those that are still there, when it goes on after having broken off. */
export const GIVE_TIMES_SCRIPT = `${BEGIN}cd -P -- "$home" || exit 1
[ ! -f "$stage/times-$at" ] || xargs -0 -r -n 20 sh -c 'while [ $# -ge 2 ]; do
  [ ! -d "$2" ] || touch -m -d "@$1" -- "$2" || exit 1
  shift 2
done' sh <"$stage/times-$at"`;
