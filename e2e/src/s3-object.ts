import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { RunningS3 } from '@tarfleet/testbed';

/** Copies an object to a file, as any other program would. */
export async function downloadObject(
  s3: RunningS3,
  bucket: string,
  key: string,
  path: string,
): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    if (!(Body instanceof Readable)) throw new Error(`${key}: no stream`);
    await pipeline(Body, createWriteStream(path));
  } finally {
    client.destroy();
  }
}
