import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeWords, encodeWords } from '#src/store/encoded-words.js';
import {
  decodeMetadata,
  encodeMetadata,
  METADATA_LIMIT,
  metadataSize,
  snapshotMetadata,
} from '#src/store/metadata.js';

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  fc.string({ unit: fc.constantFrom('=', '?', '_', ' ', 'q', 'b', 'utf-8', 'ü', '\n', 'A') }),
);

describe('text as encoded words', () => {
  it('comes back the same, whatever it is', () => {
    fc.assert(fc.property(anyText, (text) => decodeWords(encodeWords(text)) === text));
  });

  it('is US-ASCII that headers leave as it is, in words of at most 75 characters', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const encoded = encodeWords(text);
        expect(encoded).toMatch(/^[\x21-\x7e]+( [\x21-\x7e]+)*$/);
        if (encoded !== text)
          for (const word of encoded.split(' ')) expect(word.length).toBeLessThanOrEqual(75);
      }),
    );
  });

  it('leaves plain text alone', () => {
    for (const text of ['pg_dump: 3 tables, 5 % done', 'a=b?c \'d\' "e"', 'gzip'])
      expect(encodeWords(text)).toBe(text);
  });

  it.each([
    ['=?UTF-8?B?Z3LDvMOfZQ==?=', 'grüße'],
    ['=?UTF-8?Q?gr=c3=bc=C3=9Fe_an?= =?utf-8?Q?_alle?=', 'grüße an alle'],
    ['=?utf-8?q?half=C3?=\r\n =?utf-8?q?=BC?=', 'halfü'],
    ['=?ISO-8859-1?Q?=FC?= =?utf-8*de?b?w7w=?=', 'üü'],
    ['=?utf-8?q?=EF=BB=BFmark?=', '\ufeffmark'],
    ['plain =?utf-8?q?=C3=BC?= mixed', 'plain ü mixed'],
    ['=?x-klingon?q?abc?=', '=?x-klingon?q?abc?='],
    ['=?utf-8?q?never ends', '=?utf-8?q?never ends'],
  ])('reads %s as others write it', (value, text) => {
    expect(decodeWords(value)).toBe(text);
  });

  it('metadata keys come back in lower case', () => {
    expect(decodeMetadata(encodeMetadata({ 'Backup-Output': 'ä' }))).toEqual({ 'backup-output': 'ä' });
  });
});

describe('metadata of a snapshot', () => {
  const long = fc.string({ unit: 'binary', maxLength: 6000, minLength: 0, size: 'max' });
  const ascii = fc.string({ maxLength: 6000, size: 'max' });

  it('always fits, and holds the end of the description and the whole command', () => {
    fc.assert(
      fc.property(
        fc.oneof(long, ascii, anyText),
        fc.option(fc.oneof(ascii, anyText)),
        (description, command) => {
          const restoreThrough = command ?? undefined;
          const metadata = snapshotMetadata({ description, restoreThrough });
          expect(metadataSize(metadata)).toBeLessThanOrEqual(METADATA_LIMIT);
          const { 'restore-through': through, 'backup-output': output = '' } = metadata;
          if (through === undefined && restoreThrough !== undefined)
            expect(metadataSize({ 'restore-through': restoreThrough })).toBeGreaterThan(METADATA_LIMIT);
          else expect(through).toBe(restoreThrough);
          expect(output).not.toMatch(/\p{Surrogate}/u);
          const flat = description.trim().replaceAll(/\r\n?|\n/g, '; ');
          expect(flat.endsWith(output)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('holds all that has room, and cuts at the front', () => {
    expect(snapshotMetadata({ description: 'one\ntwo\r\nthree\n', restoreThrough: 'psql' })).toEqual({
      'backup-output': 'one; two; three',
      'restore-through': 'psql',
    });
    expect(snapshotMetadata({ description: '' })).toEqual({});
    const cut = snapshotMetadata({ description: `${'x'.repeat(5000)}END` });
    expect(cut['backup-output']).toMatch(/xEND$/);
    expect(metadataSize(cut)).toBe(METADATA_LIMIT);
  });

  it('fills the room with characters of several bytes, none of them split', () => {
    const { 'backup-output': output = '' } = snapshotMetadata({ description: '😀'.repeat(3000) });
    expect(output).toMatch(/^(😀)+$/u);
    expect(metadataSize({ 'backup-output': `${output}😀` })).toBeGreaterThan(METADATA_LIMIT);
  });

  it('leaves out a command that is too long', () => {
    expect(snapshotMetadata({ description: 'd', restoreThrough: 'x'.repeat(3000) })).toEqual({
      'backup-output': 'd',
    });
  });
});
