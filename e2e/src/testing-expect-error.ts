import { expect } from '@jest/globals';
import type { Answer } from './client.ts';

/** The one shape of every error, with no secret and no stack in it. */
export function expectError(answer: Answer, status: number, code: string, message: RegExp | string): void {
  expect(answer).toMatchObject({ status, body: { success: false, code, error: expect.any(String) } });
  expect(answer.body.message).toMatch(message);
  const known = ['code', 'details', 'error', 'message', 'success'];
  expect(Object.keys(answer.body).filter((key) => !known.includes(key))).toEqual([]);
  expect(answer.headers.get('x-request-id')).toMatch(/\S/);
  expect(JSON.stringify(answer.body)).not.toMatch(/PRIVATE KEY|node_modules|\.ts:\d+/);
}
