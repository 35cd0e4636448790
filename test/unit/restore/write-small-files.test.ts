import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { libdeflate } from '#src/content/libdeflate.js';
import type { BytePath } from '#src/files/byte-path.js';
import { type SafeDir, temporaryName } from '#src/files/safe-dir.js';
import { fieldsOf, packed } from '#src/restore/small-files-message.js';
import type { SmallFile } from '#src/restore/small-files.js';
import { writeSmallFiles } from '#src/restore/write-small-files.js';
import { sha256 } from '../manifest/build-manifest.js';
import { openedFolder } from './opened-folder.js';

/** By which gzip can be unpacked here. */
const LIBRARIES = [
  { name: 'zlib', library: undefined },
  ...(libdeflate() === undefined ? [] : [{ name: 'libdeflate', library: libdeflate() }]),
];

describe.each(LIBRARIES)('a batch of small files that $name unpacks', ({ library }) => {
  let folder: string;
  let dir: SafeDir;
  beforeEach(() => {
    ({ folder, dir } = openedFolder());
  });
  afterEach(() => {
    dir.close();
    rmSync(folder, { recursive: true });
  });

  const contents = Array.from({ length: 40 }, (_, index) => Buffer.from(`content ${index} `.repeat(index)));

  function write(stored: (content: Buffer, index: number) => Uint8Array) {
    const files = contents.map(
      (content, index): SmallFile => ({
        folder: dir.fd,
        name: `f${index}` as BytePath,
        temporary: temporaryName(),
        enc: 'gzip',
        what: 'an object',
        size: content.length,
        sha: sha256(content),
        wanted: {},
        wantsInode: false,
      }),
    );
    const message = { id: 1, fields: fieldsOf(files), ...packed(contents.map(stored)) };
    return writeSmallFiles(message, { library }).results;
  }

  it('is written whole', () => {
    expect(write((content) => gzipSync(content)).every((result) => result === undefined)).toBe(true);
    for (const [index, content] of contents.entries())
      expect(readFileSync(join(folder, `f${index}`)).equals(content)).toBe(true);
  });

  it.each([
    ['is cut', (right: Buffer) => right.subarray(0, -3)],
    ['is longer', (right: Buffer) => Buffer.concat([right, gzipSync('more')])],
    ['is followed by something', (right: Buffer) => Buffer.concat([right, Buffer.from('more')])],
    ['is another', () => gzipSync('another')],
    ['is harmed', (right: Buffer) => right.map((byte, at) => (at === 20 ? byte ^ 1 : byte))],
    ['is missing', () => Buffer.alloc(0)],
  ])('is written but for one whose object %s', (_, harm) => {
    const results = write((content, index) => (index === 17 ? harm(gzipSync(content)) : gzipSync(content)));
    expect(results[17]).toMatchObject({ is: 'damaged' });
    expect(results.filter((result) => result === undefined)).toHaveLength(39);
    expect(readdirSync(folder).toSorted()).toEqual(
      contents.flatMap((_content, index) => (index === 17 ? [] : [`f${index}`])).toSorted(),
    );
    for (const [index, content] of contents.entries())
      if (index !== 17) expect(readFileSync(join(folder, `f${index}`)).equals(content)).toBe(true);
  });
});
