import { AppError } from '@tarfleet/kernel';
import type { Api } from '../api-type.ts';
import { type Fault, invalid } from './faults.ts';

/** Deeper bodies are refused before anything walks them. */
const MAX_DEPTH = 40;
/** Postgres cannot store U+0000, and half a surrogate pair would be stored as another character. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

/**
 * Bodies are JSON and nothing else. An empty one counts as none, so that a POST without fields may carry the
 * content type or not.
 */
export function addJsonBody(app: Api): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    if (text.length === 0) return done(null, undefined);
    let body: unknown;
    try {
      body = JSON.parse(text as string);
    } catch {
      // The parser's message quotes its input, which may hold secrets: it goes no further.
      return done(
        new AppError('MALFORMED_BODY', 'The body is not JSON: check its quotes, commas and braces.'),
      );
    }
    const fault = findFault('body', body);
    return fault ? done(fault) : done(null, body);
  });
  app.addHook('preValidation', async (request) => {
    const fault = findFault('query', request.query) ?? findFault('params', request.params);
    if (fault) throw fault;
  });
}

/** Walks without recursion: the depth is the sender's choice. */
function findFault(part: string, root: unknown): AppError | undefined {
  const faults: Fault[] = [];
  const open: { path: string; value: unknown; depth: number }[] = [{ path: part, value: root, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { path, value, depth } = next;
    if (typeof value === 'string' && UNSTORABLE.test(value)) {
      faults.push({ path, message: 'must not hold the character U+0000 or half of a surrogate pair' });
    }
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= MAX_DEPTH) {
      return new AppError('MALFORMED_BODY', `The body is nested deeper than ${MAX_DEPTH} levels.`);
    }
    for (const [name, child] of Object.entries(value)) {
      if (name === '__proto__' || UNSTORABLE.test(name)) {
        return new AppError('MALFORMED_BODY', `A field's name below ${path} is not allowed.`);
      }
      open.push({ path: `${path}/${name.slice(0, 100)}`, value: child, depth: depth + 1 });
    }
  }
  return faults.length > 0 ? invalid(faults) : undefined;
}
