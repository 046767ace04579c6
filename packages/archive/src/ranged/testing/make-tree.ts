import { randomBytes } from 'node:crypto';
import { link, mkdir, open, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A small tree with whatever makes a tar hard to read: holes, further names, long names, names that are not UTF-8. */
export async function makeTree(root: string): Promise<void> {
  const deep = join(root, ...Array.from({ length: 15 }, () => 'a-long-folder-name'));
  await mkdir(deep, { recursive: true });
  await mkdir(join(root, 'empty-folder'), { mode: 0o1700 });
  await writeFile(join(deep, 'leaf'), 'leaf');
  await writeFile(Buffer.from(`${root}/caf\xe9 \n "x"`, 'latin1'), 'bytes');
  await writeFile(join(root, 'empty'), '');
  await writeFile(join(root, 'noise'), randomBytes(50_000));
  await writeFile(join(root, 'block'), randomBytes(512));
  await writeFile(join(root, 'script'), '#!/bin/sh\n', { mode: 0o6755 });
  for (let number = 0; number < 40; number += 1) {
    await writeFile(join(root, 'empty-folder', `file-${number}`), `${number}\n`.repeat(number * 30));
  }
  await utimes(join(root, 'empty'), 1_600_000_000.25, 1_600_000_000.25);
  await symlink('nowhere', join(root, 'dangling'));
  await symlink('l'.repeat(300), join(root, 'long-target'));
  await link(join(root, 'noise'), join(root, 'second-name'));
  await link(join(root, 'noise'), join(root, 'third-name'));
  // More islands than the four that an old GNU header has room for.
  const sparse = await open(join(root, 'sparse'), 'w');
  for (let island = 0; island < 30; island += 1) await sparse.write('island', island * 100_000);
  await sparse.truncate(4_000_000);
  await sparse.close();
}
