import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type RunningS3, signedFetch } from '@tarfleet/testbed';

/** Copies an object to a file, as any other program would. */
export async function downloadObject(
  s3: RunningS3,
  bucket: string,
  key: string,
  path: string,
): Promise<void> {
  const answer = await signedFetch('GET', `${s3.endpoint}/${bucket}/${key}`, s3);
  if (!answer.ok || !answer.body) throw new Error(`${key}: ${answer.status}`);
  await pipeline(answer.body, createWriteStream(path));
}
