/** How a backup's objects are named, below its prefix. */
export const MANIFEST_NAME = 'manifest.json';

const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The archive of one attempt at one artifact. Attempt and token keep an attempt that was thought dead from
 * writing over its successor's object.
 */
export function artifactObjectName(
  artifactId: string,
  attempt: number,
  token: string,
  encrypted = false,
): string {
  if (!TOKEN.test(token) || !Number.isInteger(attempt) || attempt < 1) {
    throw new TypeError('An object name needs a whole attempt number from 1 and a token of [A-Za-z0-9_-].');
  }
  return `${artifactId}/${attempt}-${token}.tar.gz${encrypted ? '.enc' : ''}`;
}

/** The index of an archive has its name but for the ending. */
export function indexObjectName(archiveName: string): string {
  return archiveName.replace(/\.tar\.gz/, '.index.gz');
}
