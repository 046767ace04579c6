/** What the rest of Tarfleet knows of a server: commands run there, with streams. The same for ssh and local. */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ServerSecrets, ServerTarget } from '@tarfleet/contracts';

export interface ExecOptions {
  /**
   * Aborting it ends the command and all it started, on the server too (TERM, then KILL after 2 s, to its process
   * group), and rejects `done` with the reason. What moved to a group of its own (`setsid`) is not found.
   */
  signal: AbortSignal;
  /** More environment; LC_ALL=C is always set. */
  env?: Record<string, string>;
}

export interface Exit {
  /** Null when a signal ended it. */
  code: number | null;
  signal: string | null;
}

/**
 * A running command. The caller must read `stdout` and `stderr` to their ends, both at once, or destroy them: one
 * that fills up unread holds the command back. None of the streams needs an error listener.
 */
export interface RemoteProcess {
  /** Fails with COMMAND_FAILED when the command ends before it has read everything. End it, even when it is not used. */
  stdin: Writable;
  /** Ends only once the command has ended as well. Destroyed early, it ends the command as a closed pipe would. */
  stdout: Readable;
  stderr: Readable;
  /**
   * How it ended, once its output has been read. Rejects with CONNECTION_LOST (retryable) when the connection broke
   * or the session was closed first, or with the abort's reason, when nothing of the command is left; `stdout` and
   * `stderr` then end with the same error, never cleanly. Nobody needs to wait for it.
   *
   * A command whose connection broke cannot be ended: it lives on until it writes to its closed output (SIGPIPE)
   * or reads the end of its input. What must not happen twice needs a guard on the server.
   */
  done: Promise<Exit>;
}

export interface RunResult extends Exit {
  stdout: Buffer;
  /** The last 64 KiB. */
  stderr: Buffer;
}

export interface Session {
  /**
   * Starts a command, in the root folder. Arguments are bytes or text and reach it as they are, whatever they hold; no
   * shell looks at them. Over ssh at most 8 run at once on a session, more wait for a place. Errors: COMMAND_FAILED
   * (a NUL byte, over 120 KiB of arguments, or the server would not start it), CONNECTION_LOST, BECOME_FAILED,
   * TOOL_MISSING (no sudo). A program that is not there is exit code 127, one that may not be run is 126.
   */
  exec(argv: readonly (string | Buffer)[], options: ExecOptions): Promise<RemoteProcess>;
  /**
   * Runs a small command to its end, with `input` on stdin. Output over 1 MiB is COMMAND_FAILED.
   * A non-zero exit is a result, not an error.
   */
  run(argv: readonly (string | Buffer)[], options: ExecOptions & { input?: Buffer }): Promise<RunResult>;
  /**
   * Reads files over SFTP, as the user who logged in. Errors: NOT_SUPPORTED (a local session, or one that became
   * another user, whom SFTP does not know), COMMAND_FAILED (the server offers no SFTP), CONNECTION_LOST. Aborting the
   * signal ends it; whoever opens it closes it.
   */
  sftp(signal: AbortSignal): Promise<RemoteFiles>;
  /**
   * A TCP connection that the server itself makes: `127.0.0.1` is the server's own. The caller destroys the stream;
   * it needs no error listener. Aborting the signal ends the attempt alone. Errors: PORT_UNREACHABLE (refused, no
   * such host, no way there), TOOL_MISSING (the server forwards nothing and has no program to connect with),
   * CONNECTION_LOST.
   */
  dial(to: Address, signal: AbortSignal): Promise<Duplex>;
  /** What the server has: looked up once per session; for this machine, at most every ten seconds. */
  capabilities(signal: AbortSignal): Promise<Capabilities>;
  /** SHA256 fingerprint of the host's key as this connection saw it; null for local. */
  readonly fingerprint: string | null;
  /** Ends the commands still running and the connection. Safe to call twice. */
  close(): Promise<void>;
}

export interface Address {
  host: string;
  port: number;
}

export interface Capabilities {
  user: string;
  /** -1 where it is not known, for want of a shell. */
  uid: number;
  /** Whether commands run there at all. Without it every command is TOOL_MISSING, and there is SFTP alone. */
  shell: boolean;
  /** Tool name (`tar`, `find`, `bsdtar`, `busybox`, `sudo`, `sha256sum`, `setsid`, `gzip`) to its version line, null where it is missing. */
  tools: Record<string, string | null>;
  /** Which implementation answers to `tar` and `find`. */
  tar: 'gnu' | 'bsd' | 'busybox' | 'other' | null;
  find: 'gnu' | 'busybox' | 'other' | null;
}

/** What SFTP tells of a path. */
export interface RemoteFacts {
  /** As find has it: f, d, l, p, c, b, s, or ? for anything else. */
  type: string;
  size: number;
  /** The permission bits alone. */
  mode: number;
  uid: number;
  gid: number;
  /** Whole seconds since 1970. */
  mtime: number;
}

/** An open file. Close it. */
export interface RemoteFile {
  facts(): Promise<RemoteFacts>;
  /** At most so many bytes, perhaps fewer; null at the end of the file. Several may be asked for at once. */
  read(offset: number, length: number): Promise<Buffer | null>;
  close(): Promise<void>;
}

/** Files over SFTP. Paths are bytes. What the server refuses is an `SftpStatus`. */
export interface RemoteFiles {
  lstat(path: Buffer): Promise<RemoteFacts>;
  stat(path: Buffer): Promise<RemoteFacts>;
  readlink(path: Buffer): Promise<Buffer>;
  realpath(path: Buffer): Promise<Buffer>;
  /** For reading. */
  open(path: Buffer): Promise<RemoteFile>;
  /** A folder's names as they arrive, without `.` and `..`; facts are null where the server does not tell them here. */
  list(path: Buffer): AsyncGenerator<{ name: Buffer; facts: RemoteFacts | null }[]>;
  close(): Promise<void>;
}

/** What a server answers instead of what it was asked for (SFTP version 3, 7). */
export class SftpStatus extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.name = 'SftpStatus';
    this.status = status;
  }
}

/** How a worker reaches servers: opened secrets in, a session out. */
export interface Transport {
  /**
   * Connects. Errors: SERVER_UNREACHABLE (retryable), SERVER_AUTH_FAILED, HOST_KEY_CHANGED, HOST_KEY_NOT_PINNED
   * (unless `pinning` allows a first sight), BECOME_FAILED, TOOL_MISSING (no sudo), LOCAL_NOT_ALLOWED, those of
   * `openSecrets`, or the signal's reason. `details.fingerprint` of an error is the key that the target showed, where
   * it came that far (null or absent otherwise; a jump host's is `details.jumpFingerprint`).
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
