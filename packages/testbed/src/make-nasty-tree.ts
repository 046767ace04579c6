import { execFile } from 'node:child_process';
import { chmod, chown, lchown, link, mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findTool } from './tools.ts';

const run = promisify(execFile);

/** One string of names, a space between two; those with spaces or unprintable bytes are added below. */
const PLAIN_NAMES = `quo'te dou"ble back\\slash \\n ends-with\\ -dash -rf --option=x * ? [a] {a,b} $HOME $(id) \`id\` # ~ ! & ; | < ünïcödé e\u0301 é 日本語 🗄 %s a:b .hidden ...`;
const NAMES: (string | Buffer)[] = [
  ...PLAIN_NAMES.split(' '),
  ...[
    'with space',
    ' leading',
    'trailing ',
    ' ',
    'new\nline',
    'ends\n',
    '\n',
    'tab\there',
    'return\r',
    '\x1b[31m',
  ],
  Buffer.from([0xff, 0xfe, 0x0a, 0x41]),
  Buffer.from([0xc3, 0x28]),
  'x'.repeat(255),
  // 85 characters, 255 bytes.
  '日'.repeat(85),
];

/**
 * Makes entries with unpleasant names and of every kind that an archive can hold, in a new or empty `dir`.
 * As root also foreign owners, and where the system allows it a device, extended attributes and ACLs.
 */
export async function makeNastyTree(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const at = (name: string | Buffer): Buffer => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name)]);
  for (const name of NAMES) await writeFile(at(name), Buffer.from(name));
  await mkdir(at('folder with\nnewline/inner'), { recursive: true });
  await writeFile(at('folder with\nnewline/inner/-file'), 'in it');
  await mkdir(at(Buffer.from([0x64, 0xff])));
  await writeFile(at(Buffer.from([0x64, 0xff, 0x2f, 0xfe])), 'bytes in bytes');
  await mkdir(at('empty folder'));
  await writeFile(at('empty file'), '');
  const deep = Array.from({ length: 60 }, (_none, depth) => `level-${depth}`).join('/');
  await mkdir(at(deep), { recursive: true });
  await writeFile(at(`${deep}/bottom`), 'deep down');
  await addLinks(at, deep);
  const sparse = await open(at('sparse'), 'w');
  await sparse.write(Buffer.from('begin'), 0, 5, 0);
  await sparse.write(Buffer.from('end'), 0, 3, (16 << 20) - 3);
  await sparse.close();
  await run('mkfifo', ['--', join(dir, 'fifo')]);
  if (process.getuid?.() === 0) await addRootOnly(dir, at);
  await addModes(at);
  await addTimes(dir);
  // Last: nobody but root can add to it afterwards.
  await mkdir(at('read-only folder'));
  await writeFile(at('read-only folder/file'), 'x');
  await chmod(at('read-only folder'), 0o555);
}

type At = (name: string | Buffer) => Buffer;

async function addLinks(at: At, deep: string): Promise<void> {
  await writeFile(at('hard-1'), 'one content, three names');
  await link(at('hard-1'), at('hard-2'));
  await link(at('hard-1'), at('folder with\nnewline/hard-3'));
  // Both names are longer than the 100 bytes of a tar header's field.
  await link(at(`${deep}/bottom`), at(`${deep}/bottom-2`));
  await symlink('hard-1', at('link-relative'));
  await symlink('../hard-1', at('folder with\nnewline/link-up'));
  await symlink('/nowhere/at/all', at('link-dangling'));
  await symlink('link-to-itself', at('link-to-itself'));
  await symlink('empty folder', at('link-to-folder'));
  await symlink('/etc', at('link-outside'));
  await symlink(`${deep}/bottom`, at('link-long'));
  await symlink(Buffer.from([0xff, 0x0a, 0x20]), at('link-bytes'));
}

async function addModes(at: At): Promise<void> {
  const files: [string, number][] = [
    ['setuid', 0o4755],
    ['setgid', 0o2755],
    ['read-only', 0o400],
  ];
  for (const [name, mode] of files) {
    await writeFile(at(name), '#!/bin/sh\n');
    await chmod(at(name), mode);
  }
  await mkdir(at('sticky'));
  await chmod(at('sticky'), 0o1777);
  await mkdir(at('setgid folder'));
  await chmod(at('setgid folder'), 0o2775);
}

/** With `touch`, since Node's own calls round nanoseconds and follow links. */
async function addTimes(dir: string): Promise<void> {
  const touch = (time: string, ...names: string[]): Promise<unknown> =>
    run('touch', ['-h', '-d', time, '--', ...names.map((name) => join(dir, name))]);
  await touch('2001-02-03T04:05:06.123456789Z', 'with space', 'sticky', 'fifo');
  await touch('2002-02-03T04:05:06.987654321Z', 'link-dangling');
  await touch('1970-01-01T00:00:00.000000001Z', 'empty folder');
}

async function addRootOnly(dir: string, at: At): Promise<void> {
  await writeFile(at('foreign'), 'owned by nobody we know');
  await chown(at('foreign'), 12345, 54321);
  await mkdir(at('foreign folder'));
  await chown(at('foreign folder'), 12345, 54321);
  // Nobody else could read it back.
  await writeFile(at('no-mode'), 'for root only');
  await chmod(at('no-mode'), 0o000);
  await symlink('foreign', at('foreign link'));
  await lchown(at('foreign link'), 12345, 54321);
  // Not every filesystem or container has these; where they are, they must survive.
  const attempt = async (tool: string, args: string[], name: string): Promise<void> => {
    if (await findTool(tool)) await run(tool, [...args, join(dir, name)]).catch(() => undefined);
  };
  await run('mknod', [join(dir, 'null-device'), 'c', '1', '3']).catch(() => undefined);
  await attempt('setfattr', ['-n', 'user.note', '-v', 'kept'], 'foreign');
  await attempt('setfattr', ['-n', 'user.bytes', '-v', '0x00ff0a22'], 'new\nline');
  await attempt('setfattr', ['-n', 'user.note', '-v', 'of a folder'], 'empty folder');
  await attempt('setfacl', ['-m', 'u:12345:r'], 'foreign');
  await attempt('setfacl', ['-m', 'g:54321:rx', '-m', 'd:u:12345:rwx'], 'foreign folder');
  await writeFile(at('foreign folder/heir'), 'its ACL comes from the folder');
}
