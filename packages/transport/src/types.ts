/** What the rest of Tarfleet knows of a server: commands run there, with streams. The same for ssh and local. */
import type { Readable, Writable } from 'node:stream';
import type { ServerSecrets, ServerTarget } from '@tarfleet/contracts';

export interface ExecOptions {
  /** Aborting it ends the command and all it started, on the server too, and rejects `done` with the reason. */
  signal: AbortSignal;
  /** More environment; LC_ALL=C is always set. */
  env?: Record<string, string>;
}

export interface Exit {
  /** Null when a signal ended it. */
  code: number | null;
  signal: string | null;
}

/** A running command. The caller must read `stdout` and `stderr` to their ends, or destroy them. */
export interface RemoteProcess {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /**
   * How it ended. Rejects with CONNECTION_LOST (retryable) when the connection broke first, BECOME_FAILED when
   * sudo refused, or the abort's reason; after a break, `stdout` ends with an error too, never cleanly.
   */
  done: Promise<Exit>;
}

export interface RunResult extends Exit {
  stdout: Buffer;
  /** The last 64 KiB. */
  stderr: Buffer;
}

export interface Session {
  /** Starts a command. Arguments are bytes or text and reach it as they are, whatever they hold; no shell looks at them. */
  exec(argv: readonly (string | Buffer)[], options: ExecOptions): Promise<RemoteProcess>;
  /**
   * Runs a small command to its end, with `input` on stdin. Output over 1 MiB is COMMAND_FAILED.
   * A non-zero exit is a result, not an error.
   */
  run(argv: readonly (string | Buffer)[], options: ExecOptions & { input?: Buffer }): Promise<RunResult>;
  /** What the server has: looked up once per session. */
  capabilities(signal: AbortSignal): Promise<Capabilities>;
  /** SHA256 fingerprint of the host's key as this connection saw it; null for local. */
  readonly fingerprint: string | null;
  /** Ends the commands still running and the connection. Safe to call twice. */
  close(): Promise<void>;
}

export interface Capabilities {
  user: string;
  uid: number;
  /** Tool name (`tar`, `find`, `bsdtar`, `busybox`, `sudo`, `sha256sum`, `setsid`) to its version line, null where it is missing. */
  tools: Record<string, string | null>;
  /** Which implementation answers to `tar` and `find`. */
  tar: 'gnu' | 'bsd' | 'busybox' | 'other' | null;
  find: 'gnu' | 'busybox' | 'other' | null;
}

/** How a worker reaches servers: opened secrets in, a session out. */
export interface Transport {
  /**
   * Connects. Errors: SERVER_UNREACHABLE (retryable), SERVER_AUTH_FAILED, HOST_KEY_CHANGED, HOST_KEY_NOT_PINNED
   * (unless `pinning` allows a first sight), BECOME_FAILED, LOCAL_NOT_ALLOWED.
   */
  connect(request: ConnectRequest): Promise<Session>;
}

export interface ConnectRequest {
  target: ServerTarget;
  /** Opens the sealed secrets of the target or of its jump host; called only when a connection needs them. */
  openSecrets: (target: ServerTarget) => Promise<ServerSecrets>;
  signal: AbortSignal;
  /** `first-sight` accepts a host whose key is not known yet (a connection test); default `required`. */
  pinning?: 'required' | 'first-sight';
}
