import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { pathFromBytes } from '#src/files/byte-path.js';
import { entryPath, linkTarget, pathFields, pathOf, targetFields } from '#src/manifest/paths.js';

it('brings any bytes through a manifest line and back', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.string().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        const path = pathFromBytes(bytes);
        const line = JSON.parse(JSON.stringify({ ...pathFields(path), ...targetFields(path) }));
        expect(entryPath(line)).toBe(path);
        expect(linkTarget(line)).toBe(path);
      },
    ),
  );
});

it('writes text where the bytes are UTF-8, and base64 where they are not', () => {
  expect(pathFields(pathFromBytes(Buffer.from('/ä\n')))).toEqual({ path: '/ä\n' });
  expect(pathFields(pathFromBytes(Buffer.of(0x2f, 0xff)))).toEqual({ path64: 'L/8=' });
  expect(pathOf({})).toBeUndefined();
});
