/**
 * Ends process groups: TERM, then KILL after 2 s for what is left. One script does it all on the server, so it is
 * carried through even when the connection breaks meanwhile. (`kill -TERM -GROUP` is the one spelling that dash,
 * bash and busybox all take.) A zombie counts as ended: its parent may take its time to notice.
 */
const SCRIPT = `
alive() {
  for g in "$@"; do
    kill -0 "-$g" || continue
    [ -r /proc/self/stat ] || return 0
    cat /proc/[0-9]*/stat | grep -q ") [^ZX] [0-9]* $g " && return 0
  done
  return 1
}
gone() {
  n=$1; shift
  while alive "$@"; do
    [ $n -gt 0 ] || return 1
    sleep 0.1 || { sleep 1; n=$((n - 9)); }
    n=$((n - 1))
  done
}
for g in "$@"; do kill -TERM "-$g"; done
gone 18 "$@" && exit 0
for g in "$@"; do kill -KILL "-$g"; done
gone 5 "$@"
exit 0
`;

/**
 * Gives a function that ends one process group and resolves when that is done. Groups asked for together go in
 * one command. `run` runs a command on the server with the same rights as those to be ended.
 */
export function createGroupKiller(run: (argv: string[]) => Promise<void>): (group: number) => Promise<void> {
  let batch: { groups: string[]; done: Promise<void> } | null = null;
  return (group) => {
    if (batch === null) {
      const groups: string[] = [];
      const done = new Promise<void>((resolve, reject) => {
        setImmediate(() => {
          batch = null;
          run(['/bin/sh', '-c', `{ ${SCRIPT} } 2>/dev/null`, 'sh', ...groups]).then(resolve, reject);
        });
      });
      batch = { groups, done };
    }
    batch.groups.push(String(group));
    return batch.done;
  };
}
