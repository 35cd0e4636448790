import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSidecar, readSidecar, readSidecarSync, type Sidecar } from '#src/store/directory-sidecar.js';
import * as edges from '../../kit/edges.js';
import { temporaryFolder } from '../../kit/temporary.js';

const count = fc.constantFrom(...edges.EDGES.filter((number) => Number.isSafeInteger(number) && number >= 0));

describe('a sidecar', () => {
  it('that is written is read, with its numbers and texts at their ends', async () => {
    const path = join(temporaryFolder(), 'sidecar');
    const sidecar: fc.Arbitrary<Sidecar> = fc.record({
      version: fc.constant('0123456789abcdef0123456789abcdef'),
      size: count,
      // A clock may show anything.
      received: fc.constantFrom(...edges.EDGES.filter(Number.isInteger)),
      retention: fc.option(
        fc.record({ mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE' as const), until: count }),
        { nil: undefined },
      ),
      metadata: fc.dictionary(
        edges.text(60).filter((key) => key !== '__proto__'),
        edges.text(70_000),
        { maxKeys: 3 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(sidecar, async (given) => {
        writeFileSync(path, formatSidecar(given));
        const received = Math.min(Math.max(0, given.received), 2 ** 53 - 1);
        expect(readSidecarSync(path)).toEqual({ ...given, received });
        expect(await readSidecar(path)).toEqual({ ...given, received });
      }),
    );
  });
});
