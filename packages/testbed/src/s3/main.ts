// A small S3 server for tests, in a process of its own: `main.ts '{"port":…,"dir":…,…}'`. It speaks what a backup
// needs, and holds to it: signatures (version 4) and Content-MD5 are checked, bodies are taken whole or not at all,
// If-None-Match is atomic, parts have their least size, uploads and parts can be listed. The emulators on the
// registry lack one half of that each (fauxqs: in memory, no keys, no If-None-Match, no lists of parts; s3rver: no
// abort, no lists, no signatures, half a body becomes an object). What it answers is held against a real gateway
// by running the same suites with S3_ENDPOINT.
import { createServer } from 'node:http';
import { BucketStore } from './bucket-store.ts';
import { authenticate, S3Fault } from './s3-fault.ts';
import { route } from './s3-routes.ts';
import type { S3Account } from './sigv4.ts';

export interface S3ServerSettings extends S3Account {
  port: number;
  dir: string;
  quotaBytes?: number;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as S3ServerSettings;
const store = new BucketStore(settings.dir, settings.quotaBytes);

const server = createServer((incoming, response) => {
  const method = incoming.method ?? '';
  // Not the URL parser's path: it is signed as it travelled.
  const [path = '/', search = ''] = (incoming.url ?? '/').split('?');
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
  );
  const request = { method, path, query: new URLSearchParams(search), headers };
  const [, bucketName = '', ...rest] = path.split('/').map(decodeURIComponent);
  const handle = async (): Promise<void> => {
    const sha256 = authenticate(request, settings);
    await route({ ...request, store, incoming, response, bucketName, key: rest.join('/'), sha256 });
  };
  handle().catch((error: unknown) => {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const { status, code } = error instanceof S3Fault ? error : new S3Fault(500, 'InternalError');
    const body = method === 'HEAD' ? '' : `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
    const refuse = (): void => {
      response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
    };
    // A refusal in the middle of a body would meet a client that is still sending, and cut it off.
    if (incoming.readableEnded) refuse();
    else incoming.once('end', refuse).resume();
  });
});
server.requestTimeout = 0;
server.listen(settings.port, '127.0.0.1', () => process.stdout.write('ready\n'));
// Nobody is left to stop it when the process that started it is gone.
process.stdin.on('end', () => process.exit()).resume();
