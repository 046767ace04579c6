/**
 * Puts the one file of a database in its place while nobody has it open. Beside it, in a folder `.tarfleet-restore-{job}`
 * that only this user enters, lie `new/` (what comes), `old/` (what was there) and `away/` (what came to be while the new
 * one was in place). The folder around is entered once and then held as file 9: nobody can put another in its place.
 */
const FAULT = `fault() { printf '%s\\n' "$1" >&2; return 1; }
there() { [ -e "$1" ] || [ -L "$1" ]; }
`;

/**
 * Argument: the path of the file. Prints on a line each: the folder and the file's own name, after links; whether it is there
 * (`yes` or `no`); the free bytes.
 */
export const LOOK_SCRIPT = `${FAULT}real=$(readlink -f -- "$1") && folder=$(dirname -- "$real") && cd -P -- "$folder" 2>/dev/null ||
  fault "There is no folder $(dirname -- "$1")." || exit 1
[ -w . ] || fault "This user may not write in $folder." || exit 1
name=$(basename -- "$real")
! there "./$name" || [ -f "./$name" ] || fault "$real is no file." || exit 1
printf '%s\\n%s\\n' "$folder" "$name"
if there "./$name"; then echo yes; else echo no; fi
df --output=avail -B1 . | tail -n 1`;

/** Arguments: folder, working folder's name. Makes that anew, and prints its device and inode. */
export const STAGE_SCRIPT = `umask 077
cd -P -- "$1" && rm -rf -- "./$2" && mkdir -- "./$2" && cd -P -- "./$2" && mkdir new old away && stat -c %d:%i .`;

/** Enters the working folder, which must be the one that was made. Arguments: folder, name, device and inode; then the script's own. */
const ENTER = `${FAULT}umask 077
cd -P -- "$1" 2>/dev/null && [ "$PWD" = "$1" ] && exec 9<. || fault "The folder $1 is gone." || exit 1
cd -P -- "./$2" 2>/dev/null && [ "$(stat -c %d:%i .)" = "$3" ] || fault "The working folder $1/$2 is gone." || exit 1
place=/proc/self/fd/9
shift 3
`;

/** Writes stdin to the new file. */
export const WRITE_SCRIPT = `${ENTER}exec cat >./new/file`;

/**
 * Arguments: the file's name, how many bytes there must be, owner and mode for where there is no file whose attributes it
 * could take. Prints the new file's device and inode.
 */
export const FINISH_SCRIPT = `${ENTER}[ "$(stat -c %s ./new/file)" = "$2" ] || fault "It did not arrive whole." || exit 1
if [ -f "$place/$1" ]; then
  chmod --reference="$place/$1" ./new/file && { [ "$(id -u)" != 0 ] || chown --reference="$place/$1" ./new/file; } || exit 1
  [ "$(id -u)" != 0 ] || cp --attributes-only --preserve=xattr -- "$place/$1" ./new/file 2>/dev/null
else
  [ "$(id -u)" != 0 ] || chown -- "$3" ./new/file && chmod -- "$4" ./new/file || exit 1
fi
sync ./new/file
stat -c %d:%i ./new/file`;

/**
 * Arguments of the next two: the file's name, the new one's device and inode (`-` where its service makes it anew as it runs:
 * then whatever is in place once the new one has left the working folder), then names of what belongs to the old one.
 */
const PLACES = `name=$1 id=$2
shift 2
is_new() {
  if [ "$id" = - ]; then ! there ./new/file && there "$place/$name"; return; fi
  [ "$(stat -c %d:%i -- "$place/$name" 2>/dev/null)" = "$id" ]
}
`;

/** May be repeated, also after it broke off. */
export const APPLY_SCRIPT = `${ENTER}${PLACES}
if ! there ./new/file; then is_new || fault "The restored $name is gone." || exit 1; exit 0; fi
for one in "$name" "$@"; do
  there "$place/$one" || continue
  ! there "./old/$one" || fault "Another $one has come since the restore began." || exit 1
  mv -T -- "$place/$one" "./old/$one" || exit 1
done
mv -T -- ./new/file "$place/$name" && sync -f .`;

/** May be repeated, also after it broke off. */
export const UNDO_SCRIPT = `${ENTER}${PLACES}
mkdir -p ./new ./away || exit 1
if is_new; then
  for one in "$@"; do
    ! there "$place/$one" || { rm -rf -- "./away/$one" && mv -T -- "$place/$one" "./away/$one"; } || exit 1
  done
  mv -T -- "$place/$name" ./new/file || exit 1
fi
# So that another go finds that this was done.
[ "$id" != - ] || there ./new/file || : >./new/file
there ./new/file || fault "Another $name is in place by now." || exit 1
for one in "$@" "$name"; do
  there "./old/$one" || continue
  ! there "$place/$one" || fault "Another $one has come in between." || exit 1
  mv -T -- "./old/$one" "$place/$one" || exit 1
done
sync -f .`;

/** Then: \`yes\` where there was one before. */
export const UNDOABLE_SCRIPT = `${ENTER}name=$1 id=$2
[ "$id" = - ] || [ "$(stat -c %d:%i -- "$place/$name" 2>/dev/null)" = "$id" ] || fault "another $name is in place by now." || exit 1
[ "$3" != yes ] || there "./old/$name" || fault "what was there before is gone." || exit 1`;

/** Arguments: folder, name, device and inode (empty: whichever has the name), then \`keep\` or \`remove\`. What is gone is no error. */
export const FORGET_SCRIPT = `cd -P -- "$1" 2>/dev/null && [ "$PWD" = "$1" ] || exit 0
[ -z "$3" ] || [ "$(stat -c %d:%i -- "./$2" 2>/dev/null)" = "$3" ] || exit 0
if [ "$4" = keep ]; then rm -rf --one-file-system -- "./$2/new" "./$2/away"; else rm -rf --one-file-system -- "./$2"; fi`;
