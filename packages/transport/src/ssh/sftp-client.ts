/**
 * Reading over SFTP version 3. ssh2's own client takes and gives names as text, so that a name that is not UTF-8
 * could be neither listed nor opened; on its channels this one speaks bytes.
 */
import { AppError } from '@tarfleet/kernel';
import type { ClientChannel } from 'ssh2';
import { createDeferred, type Deferred } from '../deferred.ts';
import { type RemoteFacts, type RemoteFile, type RemoteFiles, SftpStatus } from '../types.ts';
import { createPacketParser, INIT, notSftp, type Packet, request, TYPES } from './sftp-packets.ts';

const ASK = {
  ...{ open: 3, close: 4, read: 5, lstat: 7, fstat: 8, opendir: 11, readdir: 12 },
  ...{ realpath: 16, stat: 17, readlink: 19 },
} as const;
const READ_FLAG = 1;
const END_OF_FILE = 1;

export interface SftpOptions {
  signal: AbortSignal;
  /** Why the channel closed. */
  lost(): AppError;
  onClosed(): void;
}

/** Waits for the server's greeting. Owns the channel. */
export async function createSftpClient(channel: ClientChannel, options: SftpOptions): Promise<RemoteFiles> {
  const { signal } = options;
  const waiting = new Map<number, Deferred<Packet>>();
  const greeting = createDeferred<void>();
  let last = 0;
  let fault: unknown = null;

  const end = (reason: unknown): void => {
    if (fault !== null) return;
    fault = reason;
    signal.removeEventListener('abort', onAbort);
    greeting.reject(reason);
    for (const answer of waiting.values()) answer.reject(reason);
    waiting.clear();
    channel.close();
    options.onClosed();
  };
  const onAbort = (): void => end(signal.reason);
  const parser = createPacketParser((packet) => {
    if (packet.type === TYPES.version) return greeting.resolve();
    const answer = waiting.get(packet.id);
    waiting.delete(packet.id);
    answer?.resolve(packet);
  });
  channel.on('data', (chunk: Buffer) => {
    try {
      if (fault === null) parser.take(chunk);
    } catch (error) {
      end(error);
    }
  });
  channel.stderr.resume();
  channel.on('error', () => undefined);
  channel.once('close', () => end(options.lost()));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  channel.write(INIT);
  await greeting.promise;

  const ask = async (
    type: number,
    parts: readonly (Buffer | number | bigint)[],
    expected: number,
  ): Promise<Packet> => {
    if (fault !== null) throw fault;
    last = (last + 1) % 0xffffffff;
    const id = last;
    const answer = createDeferred<Packet>();
    waiting.set(id, answer);
    channel.write(request(type, id, parts));
    const packet = await answer.promise;
    if (packet.type === expected) return packet;
    if (packet.type !== TYPES.status) throw notSftp();
    throw new SftpStatus(packet.body.number(), packet.body.bytes().toString('utf8'));
  };
  const close = async (handle: Buffer): Promise<void> => {
    // Answered with a status in any case; what was only read cannot be lost by it.
    await ask(ASK.close, [handle], TYPES.status).catch(() => undefined);
  };
  const facts = async (type: number, what: Buffer): Promise<RemoteFacts> => {
    const found = (await ask(type, [what], TYPES.attrs)).body.attributes();
    if (found) return found;
    throw new AppError(
      'NOT_SUPPORTED',
      "The server's SFTP does not tell size, owner, mode and time of its files.",
    );
  };
  const nameOf = async (type: number, path: Buffer): Promise<Buffer> => {
    const { body } = await ask(type, [path], TYPES.name);
    if (body.number() !== 1) throw notSftp();
    return Buffer.from(body.bytes());
  };
  const openFile = async (path: Buffer): Promise<RemoteFile> => {
    const opened = await ask(ASK.open, [path, READ_FLAG, 0], TYPES.handle);
    const handle = Buffer.from(opened.body.bytes());
    return {
      facts: () => facts(ASK.fstat, handle),
      read: (offset, length) =>
        orAtEnd(ask(ASK.read, [handle, BigInt(offset), length], TYPES.data).then(({ body }) => body.bytes())),
      close: () => close(handle),
    };
  };
  return {
    lstat: (path) => facts(ASK.lstat, path),
    stat: (path) => facts(ASK.stat, path),
    readlink: (path) => nameOf(ASK.readlink, path),
    realpath: (path) => nameOf(ASK.realpath, path),
    open: openFile,
    async *list(path) {
      const handle = Buffer.from((await ask(ASK.opendir, [path], TYPES.handle)).body.bytes());
      try {
        for (;;) {
          const packet = await orAtEnd(ask(ASK.readdir, [handle], TYPES.name));
          if (packet === null) return;
          yield readNames(packet);
        }
      } finally {
        await close(handle);
      }
    },
    async close() {
      end(new AppError('CONNECTION_LOST', 'Reading over SFTP was ended.', { retryable: true }));
    },
  };
}

function readNames({ body }: Packet): { name: Buffer; facts: RemoteFacts | null }[] {
  const found: { name: Buffer; facts: RemoteFacts | null }[] = [];
  for (let left = body.number(); left > 0; left -= 1) {
    const name = Buffer.from(body.bytes());
    // The line that `ls -l` would print.
    body.bytes();
    const facts = body.attributes();
    const text = name.toString('latin1');
    if (text !== '.' && text !== '..') found.push({ name, facts });
  }
  return found;
}

async function orAtEnd<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof SftpStatus && error.status === END_OF_FILE) return null;
    throw error;
  }
}
