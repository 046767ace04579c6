import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One call of a program on the server: which of those whose arguments hold the text. */
export interface Call {
  program: string;
  when: 'before' | 'after';
  nth: number;
  text: string;
}

export interface Gates {
  arm(call: Call): Promise<void>;
  /** Whether the call stands at its gate. */
  held(): Promise<boolean>;
  release(): Promise<void>;
  /** How a service misbehaves from now on; see `ctl`. */
  turn(knob: string): Promise<void>;
  /** Nobody misbehaves any more. */
  turnBack(): Promise<void>;
  /** What changed something on the server, and when, in milliseconds. */
  calls(): Promise<{ at: number; line: string }[]>;
  /** Everything open, nothing counted. */
  reset(): Promise<void>;
}

/** The test's side of the stand-ins on the server. */
export function createGates(top: string): Gates {
  const at = (name: string): string => join(top, 'gate', name);
  const put = async (name: string, text: string): Promise<void> => {
    await writeFile(at('.new'), text);
    await rename(at('.new'), at(name));
  };
  const empty = async (name: string): Promise<void> => {
    for (const one of await readdir(at(name))) await rm(join(at(name), one), { recursive: true });
  };
  return {
    arm: ({ program, when, nth, text }) => put('armed', `${program}\n${when}\n${nth}\n${text}\n`),
    held: () =>
      readFile(at('held')).then(
        () => true,
        () => false,
      ),
    release: () => put('released', ''),
    turn: (knob) => writeFile(join(at('knobs'), knob), ''),
    turnBack: () => empty('knobs'),
    async calls() {
      const text = await readFile(at('calls'), 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => ({ at: Number(line.split(' ', 1)[0]), line }));
    },
    async reset() {
      for (const name of ['armed', 'held', 'released', 'calls']) await rm(at(name), { force: true });
      await mkdir(at('count'), { recursive: true });
      await empty('count');
      await empty('knobs');
    },
  };
}
