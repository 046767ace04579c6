import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findTool } from '@tarfleet/testbed';

/**
 * Programs of the server's that can be held, and are written down with the time at which they ran. A tree is renamed
 * by mv where it has `--no-copy`, else by perl: both count as `rename`.
 */
const PROGRAMS = ['mv', 'rm', 'tar', 'perl'] as const;

/**
 * What every stand-in begins with. `armed` holds four lines: a program's name, `before` or `after` it has run, which
 * of the calls that match, and a text that the arguments must hold. The call writes its id to `held`, and goes on
 * when `released` is there. Numbers are given by mkdir, which only one of two can win.
 */
const HOLD = `hold() {
  [ -e "$gate/armed" ] || return 0
  { read -r name; read -r when; read -r nth; read -r text; } <"$gate/armed" || return 0
  [ "$name" = "$program" ] && [ "$when" = "$1" ] || return 0
  shift
  case " $* " in *"$text"*) ;; *) return 0 ;; esac
  n=1
  until /bin/mkdir "$gate/count/$n" 2>/dev/null; do
    n=$((n + 1))
    [ $n -lt 500 ] || return 0
  done
  [ "$n" = "$nth" ] || return 0
  echo $$ >"$gate/.held" && /bin/mv "$gate/.held" "$gate/held"
  until [ -e "$gate/released" ]; do /bin/sleep 0.05; done
}
wrote() { echo "$(/bin/date +%s%3N) $program $*" >>"$gate/calls"; }
`;

/** A command of a service: `ctl NAME VERB`. Knobs are files that say how it misbehaves. */
const CTL = `service=$1 verb=$2 run=$top/run
knob() { [ -e "$gate/knobs/$service-$1" ]; }
# What was backed up is there, not what was there before the restore.
renewed() { [ "$(/bin/cat "$top/small/$service/generation" 2>/dev/null)" = backup ]; }
troubled() { knob "$1" || { knob "$1-new" && renewed; }; }
alive() { [ -s "$run/$service.pid" ] && read -r pid <"$run/$service.pid" && /bin/kill -0 "$pid" 2>/dev/null; }
gone() { tries=0; while /bin/kill -0 "$1" 2>/dev/null && [ $tries -lt 60 ]; do /bin/sleep 0.05; tries=$((tries + 1)); done; }
act() {
  case $service,$verb in
    *,status) alive || [ -e "$run/$service.on" ] || return 1 ;;
    *,health)
      ! troubled unhealthy || { echo "$service says that it is not well"; return 1; }
      "$top/ask-$service" >/dev/null ;;
    batch,start) : >"$run/batch.on" ;;
    batch,stop) /bin/rm -f "$run/batch.on" ;;
    *,start)
      ! troubled start || { echo "$service does not want to start"; return 1; }
      "$top/start-$service" ;;
    *,stop)
      if troubled hang; then /bin/sleep 600; fi
      if troubled stop; then echo "$service does not want to stop"; return 0; fi
      read -r pid <"$run/$service.pid" && /bin/kill -TERM "$pid" && gone "$pid" ;;
  esac
}
`;

/** Writes the stand-ins, which come first in the server's PATH, and the services' `ctl`. */
export async function writeGateScripts(top: string): Promise<{ bin: string; ctl: string }> {
  const gate = join(top, 'gate');
  const bin = join(top, 'bin');
  await mkdir(bin);
  await mkdir(join(gate, 'count'), { recursive: true });
  await mkdir(join(gate, 'knobs'));
  const head = (program: string): string =>
    `#!/bin/sh\ntop='${top}' gate='${gate}' program=${program}\n${HOLD}`;
  const put = async (path: string, text: string): Promise<void> => {
    await writeFile(path, text);
    await chmod(path, 0o755);
  };
  for (const program of PROGRAMS) {
    const real = await findTool(program);
    if (real === null) continue;
    const wrote = program === 'tar' ? '' : 'wrote "$@"\n';
    await put(
      join(bin, program),
      `${head(program === 'perl' ? 'rename' : program)}case "$1" in --help | --version) exec ${real} "$@" ;; --no-copy) program=rename ;; esac\n` +
        `hold before "$@"\n${wrote}if [ ! -e "$gate/armed" ]; then exec ${real} "$@"; fi\n${real} "$@"\ncode=$?\nhold after "$@"\nexit $code\n`,
    );
  }
  const ctl = join(top, 'ctl');
  await put(
    ctl,
    `${head('"$1-$2"')}${CTL}hold before "$@"\ncase $verb in stop | start) wrote ;; esac\nact\ncode=$?\nhold after "$@"\nexit $code\n`,
  );
  return { bin, ctl };
}
