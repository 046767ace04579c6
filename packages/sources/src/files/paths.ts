/** Absolute paths as bytes, without a slash at their end (but for the root itself). */
const SLASH = 0x2f;

/** Whether `path` lies inside the folder, at any depth; a path is not below itself. */
export function isBelow(path: Buffer, folder: Buffer): boolean {
  if (folder.length === 1 && folder[0] === SLASH) return path.length > 1;
  return (
    path.length > folder.length &&
    path[folder.length] === SLASH &&
    path.subarray(0, folder.length).equals(folder)
  );
}

export function isAtOrBelow(path: Buffer, folder: Buffer): boolean {
  return path.equals(folder) || isBelow(path, folder);
}

export function parentOf(path: Buffer): Buffer {
  const slash = path.lastIndexOf(SLASH);
  return slash <= 0 ? Buffer.from('/') : path.subarray(0, slash);
}

/** As tar names it: without the slash at the beginning. The root itself is `.`. */
export function memberName(path: Buffer): Buffer {
  return path.length === 1 ? Buffer.from('.') : path.subarray(1);
}

/** For messages; what is not UTF-8 in it shows as replacement characters. */
export function show(path: Buffer): string {
  return path.toString('utf8');
}
