import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One route of a document: its request and its answer, as they stand there. */
export interface Example {
  name: string;
  method: string;
  /** With `{backup_id}` or `{restore_id}` where an id belongs. */
  path: string;
  body?: Record<string, unknown>;
  /** The command that the document gives beside it. */
  curl: { path: string; body?: Record<string, unknown> };
  answer: Record<string, unknown>;
}

export interface Document {
  routes: Example[];
  webhook: { events: string[]; payload: Record<string, unknown> };
}

/** The document's examples, word by word. */
export async function readExamples(name: string): Promise<Document> {
  return JSON.parse(await readFile(join(import.meta.dirname, `${name}.json`), 'utf8')) as Document;
}

/** The same with ids in the places of the document's. */
export function withIds<T>(example: T, ids: { backup?: string; restore?: string }): T {
  const text = JSON.stringify(example)
    .replaceAll(/backup_\d+|\{backup_id\}/g, ids.backup ?? 'no-backup')
    .replaceAll(/restore_\d+|\{restore_id\}/g, ids.restore ?? 'no-restore');
  return JSON.parse(text) as T;
}
