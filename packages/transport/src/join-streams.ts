import { Duplex, type Readable, type Writable } from 'node:stream';

/**
 * Both ways of a connection as one stream. What arrives is passed on to its end, also when nobody reads any more what
 * is sent. It owns both: destroyed, it destroys them; `onClosed` is called then, once. It needs no error listener.
 */
export function joinStreams(incoming: Readable, outgoing: Writable, onClosed: () => void): Duplex {
  const stream = new Duplex({
    read() {
      incoming.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      outgoing.write(chunk, (error) => done(error ?? null));
    },
    final(done) {
      outgoing.end();
      done();
    },
    destroy(error, done) {
      incoming.destroy();
      outgoing.destroy();
      onClosed();
      done(error);
    },
  });
  stream.on('error', () => undefined);
  outgoing.on('error', () => undefined);
  incoming.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) incoming.pause();
  });
  incoming.once('end', () => stream.push(null));
  incoming.once('error', (error) => stream.destroy(error));
  return stream;
}
