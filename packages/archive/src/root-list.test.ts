import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeRootList, encodeRootList } from './root-list.ts';

test('roots of any bytes come back', () => {
  const root = fc.record({
    path: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.concat([Buffer.from('/'), bytes])),
    type: fc.constantFrom('directory' as const, 'symlink' as const, 'other' as const),
  });
  fc.assert(
    fc.property(fc.array(root), (roots) => {
      const comment = encodeRootList(roots);
      expect(comment).toMatch(/^[A-Za-z0-9/._:%-]+$/);
      expect(decodeRootList(Buffer.from(comment))).toEqual(roots);
    }),
  );
});

test.each([['a commit'], ['tarfleet-roots2:d/x'], ['tarfleet-roots:x/y'], ['tarfleet-roots:dy']])(
  'another comment is no list: %s',
  (comment) => {
    expect(decodeRootList(Buffer.from(comment))).toBeNull();
  },
);
