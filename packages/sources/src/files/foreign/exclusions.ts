import { OWN, PSEUDO } from '../capture/find-expression.ts';
import { globTest } from './glob.ts';

/** Whether a path that is not a root is left out, with all below it; as `findArguments` has it. */
export function createExclusions(exclude: readonly string[]): (path: Buffer, isFolder: boolean) => boolean {
  const tests = exclude.flatMap(toTest);
  const own = globTest(OWN);
  return (path, isFolder) => {
    const whole = path.toString('latin1');
    const name = whole.slice(whole.lastIndexOf('/') + 1);
    if (isFolder && own(name)) return true;
    return tests.some(({ folders, ofName, test }) => (isFolder || !folders) && test(ofName ? name : whole));
  };
}

function toTest(pattern: string): { folders: boolean; ofName: boolean; test(text: string): boolean }[] {
  const plain = pattern.replace(/\/+$/, '');
  if (plain === '') return [];
  const folders = plain !== pattern;
  if (plain.startsWith('/')) return [{ folders, ofName: false, test: globTest(plain) }];
  const ofName = !plain.includes('/');
  return [{ folders, ofName, test: globTest(ofName ? plain : `*/${plain}`) }];
}

/** Where the kernel shows what it makes up, from the text of `/proc/self/mounts` (proc(5)); one character a byte. */
export function pseudoMounts(mounts: string): Set<string> {
  const found = new Set<string>();
  for (const line of mounts.split('\n')) {
    const [, path, type] = line.split(' ');
    if (path === undefined || type === undefined || !PSEUDO.includes(type)) continue;
    found.add(
      path.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
  }
  return found;
}
