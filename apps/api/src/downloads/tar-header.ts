const BLOCK = 512;
const OCTAL_MOST = 8 ** 11 - 1;

/** Zero bytes that follow a file's content up to the next block. */
export function paddingOf(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK;
}

/** Two blocks of zeros end an archive (POSIX.1-2017, pax, ustar Interchange Format). */
export const TAR_END_BYTES = 2 * BLOCK;

/**
 * The header of a regular file in the ustar format (POSIX.1-2017); sizes of 8 GiB and more in base 256, which GNU tar
 * brought and bsdtar and busybox read. A path is of ASCII: its last part has 100 bytes at most, what stands before it
 * 155.
 */
export function tarHeader(path: string, bytes: number, mtime: Date): Buffer {
  const at = path.lastIndexOf('/');
  const [folder, name] = [path.slice(0, Math.max(0, at)), path.slice(at + 1)];
  if (name.length > 100 || folder.length > 155) throw new TypeError(`${path} is too long for a tar header`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  header.write(name, 0, 'latin1');
  header.write(octal(0o600, 8), 100, 'latin1');
  header.write(octal(0, 8), 108, 'latin1');
  header.write(octal(0, 8), 116, 'latin1');
  if (bytes <= OCTAL_MOST) header.write(octal(bytes, 12), 124, 'latin1');
  else {
    header.writeUInt8(0x80, 124);
    header.writeBigUInt64BE(BigInt(bytes), 128);
  }
  header.write(octal(Math.max(0, Math.floor(mtime.getTime() / 1000)), 12), 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(folder, 345, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}
