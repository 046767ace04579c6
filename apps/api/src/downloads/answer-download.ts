import { Readable } from 'node:stream';
import type { FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { placeOf } from '../planner/place.ts';
import { type Contents, heldBy, readContents } from './contents.ts';
import type { DownloadDeps } from './deps.ts';
import { openDownloadStream } from './download-stream.ts';
import type { Download } from './downloads.ts';
import { asAttachment } from './file-name.ts';
import { readPieces } from './pieces.ts';
import { matchesTag, parseRange } from './range.ts';

export interface DownloadWish {
  /** Left out: `archive` where there is one, else `tar`. */
  format?: 'archive' | 'tar';
  /** Answer with a link to the object where the destination can make one. */
  redirect: boolean;
  /** Of a copy that is to be read in place of the backup itself. */
  destinationId?: string | null;
}

/** Answers with a backup's stored bytes, or with the part of them that was asked for (RFC 9110). */
export async function answerDownload(
  deps: DownloadDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  backup: FullBackup,
  wish: DownloadWish,
): Promise<FastifyReply> {
  const format = formatOf(backup, wish);
  const download = await deps.downloads.begin(backup.id);
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(download.signal.reason);
  download.signal.addEventListener('abort', onAbort, { once: true });
  const gone = (): void => controller.abort(new Error('The client went away.'));
  request.raw.socket.once('close', gone);
  let storage: Storage | null = null;
  const end = async (): Promise<void> => {
    request.raw.socket.off('close', gone);
    download.signal.removeEventListener('abort', onAbort);
    await download.end();
    await storage?.close();
  };
  try {
    const place = await placeOf(deps.db, backup, wish.destinationId ?? null);
    storage = await deps.openDestination({ destinationId: place.id });
    const options = { db: deps.db, storage, backup, format, signal: controller.signal };
    const contents = await readContents(options);
    const sent = await answer(deps, request, reply, {
      backup,
      contents,
      storage,
      download,
      controller,
      wish,
      end,
    });
    if (!sent.streams) await end();
    return sent.reply;
  } catch (error) {
    await end();
    throw error;
  }
}

interface Ready {
  backup: FullBackup;
  contents: Contents;
  storage: Storage;
  download: Download;
  controller: AbortController;
  wish: DownloadWish;
  end(): Promise<void>;
}

async function answer(
  deps: DownloadDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  ready: Ready,
): Promise<{ reply: FastifyReply; streams: boolean }> {
  const { backup, contents, storage, controller, end } = ready;
  const { bytes, etag } = contents;
  const { range: rangeHeader, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = request.headers;
  reply.headers({ etag, 'accept-ranges': 'bytes', 'cache-control': 'private, no-cache' });
  reply.header('last-modified', (backup.completedAt ?? backup.createdAt).toUTCString());
  if (matchesTag(ifNoneMatch, etag)) return { reply: reply.code(304).send(), streams: false };
  // A link would give the bytes to a HEAD, too, of which nobody takes note.
  const link = request.method === 'GET' ? await linkTo(deps, ready) : null;
  if (link !== null) {
    reply.header('cache-control', 'no-store');
    return { reply: reply.redirect(link, 302), streams: false };
  }
  // A range is of a GET alone (RFC 9110, 14.2). Only an entity tag says that the parts a client has are of the same bytes; a date never does here.
  const whole = request.method === 'HEAD' || (ifRange !== undefined && ifRange !== etag);
  const range = whole ? null : parseRange(rangeHeader, bytes);
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${bytes}`);
    throw new AppError(
      'RANGE_NOT_SATISFIABLE',
      `The file has ${bytes} bytes, and the range begins behind them.`,
    );
  }
  const span = range
    ? { start: range.first, length: range.last - range.first + 1 }
    : { start: 0, length: bytes };
  const headers = headersOf(contents, range === null ? null : `bytes ${range.first}-${range.last}/${bytes}`);
  if (request.method === 'HEAD') {
    reply.headers({ ...headers, 'content-length': span.length });
    return { reply: reply.code(200).send(Readable.from([])), streams: false };
  }
  const stream = await openDownloadStream(readPieces(storage, contents.pieces, span, controller.signal), {
    ...{ idleMs: deps.config.DOWNLOAD_IDLE_MS, controller },
    onEnd(sent, error) {
      const facts = { backupId: backup.id, sent, of: span.length, ...(error ? { err: error } : {}) };
      request.log.info(facts, error ? 'download broken off' : 'download complete');
      void end().catch((fault: unknown) => request.log.warn({ err: fault }, 'download not cleaned up'));
    },
  });
  reply.headers({ ...headers, 'content-length': span.length });
  return { reply: reply.code(range ? 206 : 200).send(stream), streams: true };
}

function headersOf({ fileName, fullName, contentType, sha256 }: Contents, contentRange: string | null) {
  return {
    'content-type': contentType,
    'content-disposition': asAttachment(fileName, fullName),
    ...(contentRange === null ? {} : { 'content-range': contentRange }),
    // Of the whole file, also beside a part of it (RFC 9530).
    ...(sha256 ? { 'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:` } : {}),
  };
}

/** Of the only object, where the destination makes links; the object stays as long as the link is good. */
async function linkTo(
  { config }: DownloadDeps,
  { contents, storage, download, wish }: Ready,
): Promise<string | null> {
  const [piece, more] = contents.pieces;
  if (!wish.redirect || !storage.link || !piece || more || !('key' in piece)) return null;
  const seconds = config.DOWNLOAD_LINK_SECONDS;
  await download.keepFor(seconds);
  return storage.link(piece.key, { seconds, fileName: contents.fileName });
}

function formatOf(backup: FullBackup, { format }: DownloadWish): 'archive' | 'tar' {
  const { length } = heldBy(backup);
  if (format !== 'archive') return format ?? (length === 1 ? 'archive' : 'tar');
  if (length === 1) return format;
  throw new AppError('CONFLICT', `The backup holds ${length} archives: ask for them with format=tar.`);
}
