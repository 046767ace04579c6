import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

export interface ServerCommands {
  /** For the server's commands. */
  serverEnv: Record<string, string>;
  /** Everything that runs now on behalf of this sshd, whoever is its parent by now. */
  running(): Promise<{ pid: number; command: string }[]>;
}

/** Marks whatever one sshd starts by a variable in its environment, which all of its children have too. */
export function markCommands(): ServerCommands {
  const value = randomBytes(8).toString('hex');
  const mark = `TARFLEET_TEST=${value}`;
  return {
    serverEnv: { TARFLEET_TEST: value },
    async running() {
      const found: { pid: number; command: string }[] = [];
      for (const name of await readdir('/proc')) {
        if (!/^\d+$/.test(name)) continue;
        const read = (file: string): Promise<string> =>
          // It may end at any moment.
          readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '');
        if (!(await read('environ')).split('\0').includes(mark)) continue;
        const command = (await read('cmdline')).replaceAll('\0', ' ');
        found.push({ pid: Number(name), command });
      }
      return found;
    },
  };
}
