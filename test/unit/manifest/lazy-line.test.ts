import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import { pathFromBytes } from '#src/files/byte-path.js';
import { formatLine } from '#src/manifest/lines.js';
import { pathFields } from '#src/manifest/paths.js';
import { peekEntry } from '#src/manifest/peek.js';
import { readLazily } from '#src/manifest/reader.js';
import type { FileEntry, FileSystemEntry, ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
import {
  directory,
  file,
  footerOf,
  gzipped,
  header,
  KEY,
  manifestOf,
  sha256,
  symlink,
} from './build-manifest.js';
import { FakeStore } from './fake-store.js';

const snapshot: SnapshotEntry = { typ: 's', name: 'db', dat: null, sha: sha256(''), size: 0 };
const problem: ManifestLine = { typ: 'problem', severity: 'note', code: 'gone', message: 'm', path: '/x' };
const { path: _, ...unnamed } = file('', 'no UTF-8');
const notUtf8: FileEntry = { ...unnamed, path64: Buffer.of(0x2f, 0xff).toString('base64') };
const entries: ManifestLine[] = [
  directory('/'),
  file('/a"b\\c', 'escaped'),
  file('/file', 'hello'),
  symlink('/link', 'file'),
  notUtf8,
  snapshot,
  problem,
];

async function lazily(bytes: Buffer, all = true): Promise<ManifestLine[]> {
  const store = new FakeStore();
  const lines: ManifestLine[] = [];
  for await (const batch of readLazily(store, KEY, store.add(KEY, bytes)))
    for (const lazy of batch) if (all || !lazy.entry) lines.push(lazy.line);
  return lines;
}

async function refusal(bytes: Buffer, all = false): Promise<string> {
  const error: unknown = await lazily(bytes, all).catch((thrown: unknown) => thrown);
  if (error instanceof SysbackupError && error.code === 'DAMAGED') return error.message;
  throw new Error('was read without an error');
}

describe('peekEntry', () => {
  const entryOf: Record<'d' | 'l' | 'f', (path: string) => FileSystemEntry> = {
    d: (path) => directory(path),
    l: (path) => symlink(path, 'x'),
    f: (path) => file(path, 'x'),
  };

  it('tells kind and path of most lines, and never wrong ones', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('d' as const, 'l' as const, 'f' as const),
        fc.oneof(
          fc.string().map((text) => Buffer.from(text)),
          fc.uint8Array(),
        ),
        (typ, name) => {
          const path = pathFromBytes(Buffer.concat([Buffer.from('/'), name]));
          const { typ: _typ, path: _path, ...rest } = entryOf[typ]('');
          const line = formatLine({ typ, ...pathFields(path), ...rest } as FileSystemEntry);
          const peeked = peekEntry(Buffer.from(line));
          if (peeked !== undefined) expect(peeked).toEqual({ typ, path });
          else expect(line).toMatch(/^\{"typ":".","path(?:64":|":"[^"]*\\)/);
        },
      ),
    );
  });

  it.each([
    '{"typ":"s","name":"db"}',
    '{"typ":"f","path":"/never ends',
    '{"typ":"f"',
    '',
    '{"typ":"f", "path":"/x"}',
    '{"typ":"d","name":"/x"}',
  ])('says nothing of %s', (line) => {
    expect(peekEntry(Buffer.from(line))).toBeUndefined();
  });
});

describe('readLazily', () => {
  it('gives the lines that are asked for as they are', async () => {
    const lines = await lazily(manifestOf(entries));
    expect(lines.slice(1, -1)).toEqual(entries.map((line) => JSON.parse(JSON.stringify(line))));
    expect((await lazily(manifestOf(entries), false)).map(({ typ }) => typ)).toEqual([
      'manifest',
      's',
      'problem',
      'end',
    ]);
  });

  it('parses no line of an entry that nobody asks for', async () => {
    const files = Array.from({ length: 5000 }, (_, index) => file(`/file ${10_000 + index}`, `${index}`));
    const parse = vi.spyOn(JSON, 'parse');
    try {
      await lazily(manifestOf([directory('/'), ...files]), false);
      // The header and the footer, which is read once more where it stands alone.
      expect(parse.mock.calls.length).toBeLessThan(5);
    } finally {
      parse.mockRestore();
    }
  });

  it.each<[string, Buffer, RegExp]>([
    ['a hash that is not that of the lines', changedBehindItsHash(), /SHA-256 is not that/],
    ['wrong counts', manifestOf(entries, { counts: { d: 1, l: 1, f: 4, s: 1, problems: 1 } }), /counts 4/],
    ['paths out of order', manifestOf([directory('/b'), directory('/a')]), /line 3 has a path/],
    ['one path twice', manifestOf([directory('/a'), file('/a', 'x')]), /line 3 has a path/],
    ['an entry after the snapshots', manifestOf([snapshot, file('/a', 'x')]), /line 3 is out of order/],
    ['no header', gzipped([[file('/a', 'x')], [footerOf([file('/a', 'x')])]]), /line 1 is the first/],
    ['no footer', gzipped([[header, file('/a', 'x')]]), /no footer/],
    ['lines after the footer', gzipped([[header, footerOf([header]), file('/a', 'x')]]), /after the footer/],
    ['less than all of it', manifestOf(entries).subarray(0, -30), /no whole gzip|no footer/],
  ])('refuses a manifest with %s, whatever is asked for', async (_what, bytes, message) => {
    expect(await refusal(bytes)).toMatch(message);
  });

  it('refuses a line that makes no sense when it is asked for, and names it', async () => {
    const bytes = manifestOf([directory('/'), { ...file('/a', 'x'), mt: 'yesterday' }, file('/b', 'x')]);
    expect(await refusal(bytes, true)).toMatch(/line 3 `mt`/);
    expect(await lazily(bytes, false)).toHaveLength(2);
  });
});

/** One file's line is another than the one that the footer was made for. */
function changedBehindItsHash(): Buffer {
  const lines = [header, directory('/'), file('/a', 'x')];
  return gzipped([[header, directory('/'), file('/a', 'y')], [footerOf(lines)]]);
}
