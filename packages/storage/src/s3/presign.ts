import { GetObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { LinkOptions } from '../types.ts';
import type { S3Clients } from './s3-clients.ts';

/** A URL that reads one object, signed here: the server is not asked. */
export function presign(
  { requests }: S3Clients,
  { bucket, key, seconds, fileName }: LinkOptions & { bucket: string; key: string },
): Promise<string> {
  const command = new GetObjectCommand({
    Bucket: bucket,
    Key: key,
    ResponseContentType: 'application/octet-stream',
    ResponseContentDisposition: `attachment; filename="${fileName}"`,
  });
  return getSignedUrl(requests, command, { expiresIn: seconds });
}
