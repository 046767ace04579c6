import type { Duplex } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { SessionDriver } from '../create-session.ts';
import { joinStreams } from '../join-streams.ts';
import type { Address, RemoteProcess } from '../types.ts';
import { unreachable } from '../unreachable.ts';

/**
 * Says `connected` on a line of its own, then passes bytes on both ways until the port's side ends. `nc` does not
 * tell that it has connected, and each kind of it has another way to only try: a first connection finds out.
 */
const RELAY = `
if bash -c '[ -n "$BASH_VERSION" ]' 2>/dev/null; then
  exec bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1
    echo connected; cat >&3 <&0 & cat <&3; kill $! 2>/dev/null; exit 0' "$1" "$2"
fi
if python3 -c 'import socket' 2>/dev/null; then
  exec python3 -c '
import os, socket, sys, threading
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
except OSError as e:
    sys.exit(str(e))
os.write(1, b"connected\\n")
def up():
    while True:
        data = os.read(0, 65536)
        if not data: return
        s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data: os._exit(0)
    os.write(1, data)
' "$1" "$2"
fi
if command -v nc >/dev/null 2>&1; then nc=nc
elif command -v busybox >/dev/null 2>&1; then nc='busybox nc'
else echo 'no way to connect' >&2; exit 127
fi
said=$($nc -w 5 -z "$1" "$2" 2>&1 </dev/null) || said=$($nc -w 5 "$1" "$2" -e true 2>&1 </dev/null) ||
  { printf '%s\\n' "$said" >&2; exit 1; }
echo connected
exec $nc "$1" "$2"
`;

const MARK = 'connected\n';

/** Over a command on the server. Errors: PORT_UNREACHABLE, TOOL_MISSING, and the session's. */
export async function dialByCommand(
  { exec, label }: { exec: SessionDriver['exec']; label: string },
  to: Address,
  signal: AbortSignal,
): Promise<Duplex> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const command = await exec(['/bin/sh', '-c', RELAY, 'sh', to.host, String(to.port)], {
      signal: stop.signal,
    });
    let said = '';
    command.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    if (!(await readMark(command))) {
      command.stdout.destroy();
      const { code } = await command.done;
      if (code === 127) throw noWay(label);
      throw unreachable(to, said);
    }
    const over = (): void => stop.abort(new Error('The connection is no longer wanted.'));
    return joinStreams(command.stdout, command.stdin, over);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** What follows the mark stays in stdout. */
async function readMark({ stdout, done }: RemoteProcess): Promise<boolean> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < MARK.length) {
    const chunk = stdout.read() as Buffer | null;
    if (chunk) head = Buffer.concat([head, chunk]);
    else if (stdout.readableEnded || stdout.destroyed) {
      await done;
      return false;
    } else await nextTurn(stdout);
  }
  if (head.subarray(0, MARK.length).toString() !== MARK) return false;
  if (head.length > MARK.length) stdout.unshift(head.subarray(MARK.length));
  return true;
}

function nextTurn(stdout: RemoteProcess['stdout']): Promise<void> {
  return new Promise((resolve) => {
    const events = ['readable', 'end', 'close', 'error'];
    const wake = (): void => {
      for (const event of events) stdout.off(event, wake);
      resolve();
    };
    for (const event of events) stdout.once(event, wake);
  });
}

function noWay(label: string): AppError {
  return new AppError(
    'TOOL_MISSING',
    `${label} allows no forwarding of connections, and has none of bash, python3, nc and busybox to look at a port with: install one, or set AllowTcpForwarding to local in its sshd_config.`,
  );
}
