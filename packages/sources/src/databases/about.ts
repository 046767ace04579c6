import type { Dump } from './dump-tar.ts';

/** The first dump of an archive: what a restore has to know before it reads the others. */
export const ABOUT = 'about.json';

export function aboutDump(about: object): Dump {
  return {
    name: ABOUT,
    async *bytes() {
      yield Buffer.from(`${JSON.stringify(about, null, 2)}\n`);
    },
  };
}
