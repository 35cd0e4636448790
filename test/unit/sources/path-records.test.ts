import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PackedPaths } from '#src/files/packed-paths.js';
import { MAX_RECORD_BYTES, PathRecords } from '#src/sources/path-records.js';

function read(bytes: Buffer, chunkSize = bytes.length || 1): { paths: string[]; records: PathRecords } {
  const records = new PathRecords();
  const packed: PackedPaths[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) {
    // As a pipe's chunks are: gone when the next is read. The paths that came of it must stay.
    const chunk = Buffer.from(bytes.subarray(at, at + chunkSize));
    packed.push(records.push(chunk));
    chunk.fill('-');
  }
  packed.push(records.end());
  return { paths: packed.flatMap((some) => [...some.paths()]), records };
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');

describe('PathRecords', () => {
  it('cuts at newlines, keeps carriage returns, ignores empty records, takes a last one without its end', () => {
    expect(read(text('/a\n\n/b\r\n/c d')).paths).toEqual(['/a', '/b\r', '/c d']);
  });

  it('cuts at NUL, so that names may hold newlines', () => {
    expect(read(text('/a\nb\0/c\0\0/d')).paths).toEqual(['/a\nb', '/c', '/d']);
  });

  it('lets a NUL decide that comes late, but not beyond 64 KiB', () => {
    const name = `/${'x'.repeat(999)}\n`;
    const before = name.repeat(65);
    expect(read(text(`${before}/y\0/z\0`)).paths).toHaveLength(2);
    const beyond = read(text(`${name.repeat(66)}/y\0z\n/ok\n`));
    expect(beyond.paths).toHaveLength(67);
    expect(beyond.records.refused['contains-nul']).toEqual({ count: 1, first: ['/y\0z'] });
  });

  it('refuses relative paths and goes on', () => {
    const { paths, records } = read(text('a/b\n/c\n./d\n'));
    expect(paths).toEqual(['/c']);
    expect(records.refused.relative).toEqual({ count: 2, first: ['a/b', './d'] });
  });

  it('keeps the first hundred refused ones only, and counts on', () => {
    const { records } = read(text('relative\n'.repeat(1000)));
    expect(records.refused.relative.count).toBe(1000);
    expect(records.refused.relative.first).toHaveLength(99);
  });

  it.each([1, 1000, 65_536, 1_000_000])('passes over a record above 64 KiB, in chunks of %i', (chunkSize) => {
    const longest = `/${'x'.repeat(MAX_RECORD_BYTES - 1)}`;
    const { paths, records } = read(text(`/a\n${longest}\n${longest}y\n/b\n`), chunkSize);
    expect(paths.map((path) => path.length)).toEqual([2, MAX_RECORD_BYTES, 2]);
    expect(records.refused['too-long']).toEqual({ count: 1, first: [longest.slice(0, 200)] });
  });

  it('gives the same however the bytes come', () => {
    const record = fc.oneof(
      fc.string({ unit: fc.constantFrom('/', 'a', '\r', '\xff', '\n'), maxLength: 5 }),
      fc.constant(`/${'l'.repeat(MAX_RECORD_BYTES - 2)}`),
      fc.constant(`/${'m'.repeat(MAX_RECORD_BYTES + 3)}`),
    );
    const output = fc
      .tuple(fc.array(record, { maxLength: 8 }), fc.constantFrom('\0', '\n'))
      .map(([parts, separator]) => text(parts.join(separator)));
    fc.assert(
      fc.property(output, fc.integer({ min: 500, max: 70_000 }), (bytes, chunkSize) => {
        const whole = read(bytes);
        const pieces = read(bytes, chunkSize);
        expect(pieces.paths).toEqual(whole.paths);
        expect(pieces.records.refused).toEqual(whole.records.refused);
      }),
      { numRuns: 60 },
    );
  });

  it('gives back all absolute paths that were printed', () => {
    const path = fc
      .string({ unit: fc.constantFrom('a', '/', '\n', '\r', '\xe4', ' '), maxLength: 20 })
      .map((rest) => `/${rest}`);
    fc.assert(
      fc.property(
        fc.array(path, { minLength: 1, maxLength: 50 }),
        fc.integer({ min: 1, max: 40 }),
        (paths, size) => {
          expect(read(text(paths.map((one) => `${one}\0`).join('')), size).paths).toEqual(paths);
        },
      ),
    );
  });
});
