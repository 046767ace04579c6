import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

const JOURNALS = '/var/lib/tarfleet';

/** Fills the file system of the trees, that of the journal, or both, to the last byte; gives what frees them. */
export async function fillDisk(small: string, which: string): Promise<() => Promise<void>> {
  const folders = which === 'tree' ? [small] : which === 'journal' ? [JOURNALS] : [small, JOURNALS];
  const files = folders.map((folder) => join(folder, 'fills-the-disk'));
  for (const file of files) await fill(file);
  return async () => {
    for (const file of files) await rm(file, { force: true });
  };
}

async function fill(file: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for (const bytes of [1 << 20, 4096, 1]) await fillBy(handle, Buffer.alloc(bytes, 1));
  } finally {
    await handle.close();
  }
}

async function fillBy(handle: Awaited<ReturnType<typeof open>>, chunk: Buffer): Promise<void> {
  for (;;) {
    const end = await handle.write(chunk).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOSPC') return null;
      throw error;
    });
    if (end === null || end.bytesWritten < chunk.length) return;
  }
}
