import { finished, Readable } from 'node:stream';

export interface UnreadBody {
  /** The body's bytes. Destroyed before anything was read of it, it leaves the body as it is. */
  view: Readable;
  /** Whether any of the body was read, so that it cannot be given to anybody else. */
  isBegun(): boolean;
}

/** Lets somebody try to make use of a stream, and give it back untouched where it did not come to that. */
export function unreadBody(body: Readable): UnreadBody {
  let begun = false;
  // An error may come before anybody reads: whoever reads then gets it.
  body.on('error', () => undefined);
  const begin = (): void => {
    begun = true;
    body.on('data', (chunk: Buffer) => {
      if (!view.push(chunk)) body.pause();
    });
    finished(body, { writable: false }, (error) => {
      if (error) view.destroy(body.errored ?? error);
      else view.push(null);
    });
  };
  const view = new Readable({
    read() {
      if (begun) body.resume();
      else begin();
    },
    destroy(error, callback) {
      if (begun) body.destroy(error ?? undefined);
      callback(error);
    },
  });
  return { view, isBegun: () => begun };
}
