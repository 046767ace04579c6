import { once } from 'node:events';
import { timeLimit } from '@tarfleet/kernel';
import type { Client } from 'ssh2';
import { type ChannelOptions, openChannel } from './open-channel.ts';
import { INIT } from './sftp-packets.ts';

/** The longest answer of a loaded server that is waited for. */
const PATIENCE_MS = 30_000;
/** Behind the length: type VERSION, number 3 (SFTP version 3, 4). */
const VERSION = Buffer.from([2, 0, 0, 0, 3]);

/**
 * Whether sshd starts SFTP in the place of every command (`ForceCommand internal-sftp`). Such a server waits for a
 * greeting, and answers it with its own; a shell ends at once.
 */
export async function isSftpOnly(client: Client, options: ChannelOptions): Promise<boolean> {
  const { channel } = await openChannel(client, { line: 'exit 0' }, options);
  const timeout = timeLimit(PATIENCE_MS);
  channel.on('error', () => undefined);
  channel.stderr.resume();
  try {
    channel.write(INIT);
    const [first] = await Promise.race([
      once(channel, 'data', { signal: timeout }) as Promise<[Buffer]>,
      once(channel, 'close', { signal: timeout }).then(() => [Buffer.alloc(0)] as const),
    ]);
    return first.subarray(4, 9).equals(VERSION);
  } finally {
    channel.resume();
    channel.close();
  }
}

/** sshd's own words for a command where `internal-sftp` is forced. */
export function saysSftpOnly(said: string): boolean {
  return /allows sftp connections only/i.test(said);
}
