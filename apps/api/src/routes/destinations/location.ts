import type { Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

/** Where a destination keeps its objects, without a slash at its end: `s3://bucket/prefix`, `file:///folder`, `sftp://user@host:port/folder`, `azure://account/container/prefix`. */
export function urlOf({ type, config }: { type: string; config: unknown }): string {
  const { path, bucket, prefix, ...host } = config as Place;
  if (type === 'local') return `file://${(path ?? '').replace(/\/+$/, '')}`;
  if (type === 'sftp' || type === 'ftp') {
    return `${type}://${host.username}@${host.host}:${host.port}${(path ?? '').replace(/\/+$/, '')}`;
  }
  if (type === 'azure') {
    return `azure://${[host.account, host.container, prefix].filter(Boolean).join('/')}`;
  }
  return `s3://${[bucket, prefix].filter(Boolean).join('/')}`;
}

interface Place {
  path?: string;
  bucket?: string;
  prefix?: string;
  host?: string;
  port?: number;
  username?: string;
  account?: string;
  container?: string;
}

/** The id of the destination with this URL. NOT_FOUND where there is none, CONFLICT where there are several. */
export async function destinationAt(db: Pick<Repositories, 'destinations'>, url: string): Promise<string> {
  const wanted = url.replace(/(?<=[^/])\/+$/, '');
  const all = await db.destinations.all();
  const found = all.filter((one) => urlOf(one) === wanted);
  const [first, second] = found;
  if (first && !second) return first.id;
  if (first) {
    const names = found.map(({ name, id }) => `${name} (${id})`).join(', ');
    throw new AppError(
      'CONFLICT',
      `Several destinations have the URL ${wanted}: ${names}. Name one by destination_id.`,
    );
  }
  const known = all.map(urlOf).join(', ') || 'none';
  throw new AppError('NOT_FOUND', `No destination has the URL ${wanted}. Configured: ${known}.`);
}
