import type { Duplex } from 'node:stream';
import type { AppError } from '@tarfleet/kernel';
import type { Client, ClientChannel } from 'ssh2';
import { joinStreams } from '../join-streams.ts';
import { createInput, createRelay } from '../streams.ts';

/**
 * A forwarded connection as a stream like any other. ssh2's channel is none: `destroy` only says goodbye, and one whose
 * connection broke off just falls silent. This one then fails with the connection's error.
 */
export function channelStream(channel: ClientChannel, client: Client, lost: () => AppError | null): Duplex {
  const output = createRelay(channel, Buffer.alloc(0), () => undefined);
  const input = createInput(channel);
  const onLost = (): void => {
    output.fail(lost() ?? new Error('the connection was closed'));
    input.close();
  };
  client.once('close', onLost);
  channel.on('error', () => undefined);
  channel.once('end', () => setImmediate(() => (lost() ? onLost() : output.confirmEnd())));
  return joinStreams(output.stream, input.stream, () => {
    client.off('close', onLost);
    channel.close();
  });
}
