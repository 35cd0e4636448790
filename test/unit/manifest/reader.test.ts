import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SysbackupError } from '#src/errors.js';
import { readManifestBytes, type ReadManifestOptions } from '#src/manifest/reader.js';
import type { ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
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
  textOf,
} from './build-manifest.js';

const snapshot: SnapshotEntry = {
  typ: 's',
  name: 'db',
  dat: { key: 'snapshots/host-backup/x-db', ver: 'v2', enc: 'gzip' },
  sha: sha256('dump'),
  size: 4,
};
const problem: ManifestLine = { typ: 'problem', severity: 'note', code: 'gone', message: 'm', path: '/x' };
const entries: ManifestLine[] = [
  directory('/'),
  directory('/etc'),
  file('/etc/a', 'hello'),
  file('/etc/empty', ''),
  symlink('/etc/link', 'a'),
  snapshot,
  problem,
];

async function read(bytes: Buffer, options?: ReadManifestOptions): Promise<ManifestLine[]> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 100) pieces.push(bytes.subarray(at, at + 100));
  const lines: ManifestLine[] = [];
  const source = Readable.from(pieces, { objectMode: false });
  for await (const batch of readManifestBytes(source, KEY, options)) lines.push(...batch);
  return lines;
}

async function refusal(bytes: Buffer, options?: ReadManifestOptions): Promise<string> {
  try {
    await read(bytes, options);
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'DAMAGED') return error.message;
    throw error;
  }
  throw new Error('was read without an error');
}

/** A manifest whose lines are these, whatever they are, under a footer that fits. */
function anyLines(lines: readonly unknown[]): Buffer {
  const known = lines as ManifestLine[];
  return gzipped([lines, [footerOf(known)]]);
}

describe('readManifestBytes', () => {
  it('gives the lines of several gzip members in order', async () => {
    const lines = await read(manifestOf(entries));
    expect(lines.slice(0, -1)).toEqual([header, ...entries]);
    expect(lines.at(-1)).toEqual(footerOf([header, ...entries]));
  });

  it('gives lines whose bytes come one at a time', async () => {
    const source = Readable.from(
      [...manifestOf(entries)].map((byte) => Buffer.of(byte)),
      { objectMode: false },
    );
    let count = 0;
    for await (const batch of readManifestBytes(source, KEY)) count += batch.length;
    expect(count).toBe(entries.length + 2);
  });

  it('lets fields pass that it does not know', async () => {
    const more = { ...file('/etc/a', 'hello'), later: { nested: [1] } };
    expect(await read(anyLines([header, more]))).toContainEqual(more);
  });

  it('refuses a format that is newer, and says so', async () => {
    expect(await refusal(anyLines([{ ...header, format: 3 }]))).toMatch(
      /line 1 .*newer s3-sysbackup is needed/,
    );
  });

  it.each<[string, unknown[], RegExp]>([
    ['an entry before the header', [directory('/'), header], /line 1 .*no header/],
    ['a second header', [header, header], /line 2 is a second header/],
    ['an entry after a snapshot', [header, snapshot, directory('/')], /line 3 .*entries after snapshots/],
    ['a snapshot after a problem', [header, problem, snapshot], /line 3 .*snapshots after problems/],
    [
      'paths that descend',
      [header, directory('/b'), directory('/a')],
      /line 3 has a path that does not come/,
    ],
    ['a path twice', [header, directory('/a'), file('/a', 'x')], /line 3 has a path that does not come/],
    [
      'a path twice in two spellings',
      [header, directory('/a'), directory('/a', { path: undefined, path64: 'L2E=' } as never)],
      /line 3 has a path that does not come/,
    ],
    ['an unknown type', [header, { typ: 'x' }], /line 2 is of an unknown type/],
    ['a line that is no object', [header, [1]], /line 2 is no JSON object/],
    ['a type from the prototype', [header, { typ: 'constructor' }], /line 2 is of an unknown type/],
  ])('refuses %s', async (_what, lines, message) => {
    expect(await refusal(anyLines(lines))).toMatch(message);
  });

  it.each<[string, object]>([
    ['path', { path: 7 }],
    ['path64', { path64: 'L2E=' }],
    ['path64', { path: undefined, path64: '*' }],
    ['o', { o: null }],
    ['uid', { uid: -1 }],
    ['gid', { gid: 2 ** 32 }],
    ['mode', { mode: 0o10000 }],
    ['mode', { mode: '0644' }],
    ['acl', { acl: ['u::rw-'] }],
    ['xattr', { xattr: ['a'] }],
    ['user.a', { xattr: { 'user.a': 'no base64' } }],
    ['mt', { mt: '17' }],
    ['mt', { mt: 1700000000 }],
    ['size', { size: -1 }],
    ['size', { size: 1.5 }],
    ['sha', { sha: 'ABC' }],
    ['dat', { dat: undefined }],
    ['dat', { dat: null }],
    ['key', { dat: { key: 'content/../../etc/shadow', ver: 'v' } }],
    ['key', { dat: { key: '/etc/shadow', ver: 'v' } }],
    ['key', { dat: { key: 'content//x', ver: 'v' } }],
    ['key', { dat: { key: '', ver: 'v' } }],
    ['version', { dat: { key: 'content/x', ver: 1 } }],
    ['encoding', { dat: { key: 'content/x', ver: 'v', enc: 'br' } }],
    ['off', { dat: { key: 'content/x', ver: 'v', off: 1 } }],
    ['len', { dat: { key: 'content/x', ver: 'v', off: 1, len: -1 } }],
    ['blocks', { dat: [{ key: 'content/x', ver: 'v', size: 4 }] }],
    ['blocks', { dat: [{ key: 'content/x', ver: 'v', size: 5, n: 2 }] }],
    ['size', { dat: [{ key: 'content/x', ver: 'v' }] }],
    ['n', { dat: [{ key: 'content/x', ver: 'v', size: 5, n: 0 }] }],
    ['id', { id: 5 }],
    ['w', { w: [5] }],
  ])('refuses a file with a wrong `%s`: %j', async (field, change) => {
    const message = await refusal(anyLines([header, { ...file('/a', 'hello'), ...change }]));
    expect(message).toMatch(/line 2 /);
    expect(message).toContain(field);
  });

  it('refuses what is not JSON, nested too deeply or too long a line', async () => {
    const text = (line: string): Buffer => gzipSync(`${textOf([header])}${line}\n`);
    expect(await refusal(text('{"typ":'))).toMatch(/line 2 is no JSON/);
    expect(await refusal(text(`{"typ":${'['.repeat(200_000)}`))).toMatch(/line 2 is no JSON/);
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(await refusal(text(`{"typ":${deep}}`))).toMatch(/line 2 is of an unknown type/);
    const long = text(`{"typ":"d","path":"${'x'.repeat(10_000)}"}`);
    expect(await refusal(long, { longestLine: 9_000 })).toMatch(/line 2 is longer/);
    expect(await refusal(gzipSync('y'.repeat(600_000)), { longestLine: 9_000 })).toMatch(/line 1 is longer/);
  });

  it.each<[string, object, RegExp]>([
    ['SHA-256', { sha256: sha256('other') }, /SHA-256 is not that/],
    [
      'directories',
      { counts: { d: 1, l: 1, f: 2, s: 1, problems: 1 } },
      /counts 1 lines of `d` where there are 2/,
    ],
    ['problems', { counts: { d: 2, l: 1, f: 2, s: 1, problems: 0 } }, /counts 0 lines of `problems`/],
    ['bytes', { bytes: 8 }, /counts 8 bytes where there are 9/],
    ['outcome', { outcome: 'partial' }, /which is not what its key says/],
  ])('refuses a footer that is wrong about %s', async (_what, footer, message) => {
    expect(await refusal(manifestOf(entries, footer))).toMatch(message);
  });

  it('refuses a manifest that was stored under the key of another run or backup', async () => {
    const other = { ...header, run: '20260102T030405Z-abcd9999' };
    expect(await refusal(manifestOf(entries, {}, other))).toMatch(/not what its key says/);
    expect(await refusal(manifestOf(entries, {}, { ...header, backup: 'x' }))).toMatch(
      /not what its key says/,
    );
  });

  it('refuses a manifest without footer, without anything, and lines after the footer', async () => {
    expect(await refusal(gzipped([[header, ...entries]]))).toMatch(/line 9 is the end, and no footer/);
    expect(await refusal(gzipped([[]]))).toMatch(/line 1 is the end/);
    expect(await refusal(Buffer.alloc(0))).toMatch(/damaged/);
    const whole = manifestOf(entries);
    expect(await refusal(Buffer.concat([whole, gzipped([[directory('/z')]])]))).toMatch(
      /comes after the footer/,
    );
    expect(await refusal(Buffer.concat([whole, gzipSync('no newline')]))).toMatch(/comes after the footer/);
  });

  it('refuses a footer that shares its gzip member, and bytes after it that zlib overlooks', async () => {
    const lines = [header, ...entries];
    expect(await refusal(gzipped([[...lines, footerOf(lines)]]))).toMatch(/not alone/);
    const whole = manifestOf(entries);
    for (const more of ['\0', '\0\0\0\0\0\0\0\0', 'x', '\x1f\x8b'])
      expect(await refusal(Buffer.concat([whole, Buffer.from(more, 'latin1')]))).toMatch(/damaged/);
  });

  it('lets no manifest pass of which bytes were changed, cut or added', async () => {
    const whole = manifestOf(entries);
    const right = await read(whole);
    const change = fc.record({
      at: fc.nat(whole.length),
      cut: fc.nat(40),
      put: fc.uint8Array({ maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, cut, put }) => {
        const changed = Buffer.concat([whole.subarray(0, at), put, whole.subarray(at + cut)]);
        if (changed.equals(whole)) return;
        // Time and system in the head of a gzip member mean nothing: what is read must be the same then.
        const lines = await read(changed).catch((error: unknown) => {
          if (error instanceof SysbackupError && error.code === 'DAMAGED') return undefined;
          throw error;
        });
        if (lines) expect(lines).toEqual(right);
      }),
      { numRuns: 400 },
    );
  });

  it('lets no manifest pass of which one bit was changed', async () => {
    const whole = manifestOf(entries);
    const right = JSON.stringify(await read(whole));
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const changed = Buffer.from(whole);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const lines = await read(changed).catch(() => undefined);
      if (lines) expect(JSON.stringify(lines)).toBe(right);
    }
  });

  it('passes on what went wrong in the stream it reads', async () => {
    const failing = new Readable({
      read() {
        this.push(manifestOf(entries).subarray(0, 50));
        this.destroy(new SysbackupError('ACCESS_DENIED', 'no'));
      },
    });
    const reading = readManifestBytes(failing, KEY);
    await expect(reading.next()).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it('stops when it is told to, and destroys its source when its reader stops', async () => {
    const endless = new Readable({ read: () => undefined });
    const controller = new AbortController();
    const next = readManifestBytes(endless, KEY, { signal: controller.signal }).next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: 'ABORTED' });
    expect(endless.destroyed).toBe(true);

    const source = Readable.from([manifestOf(entries)], { objectMode: false });
    for await (const _ of readManifestBytes(source, KEY)) break;
    expect(source.destroyed).toBe(true);
  });
});

describe('what early versions wrote and did not read', () => {
  it('a time of 13 digits of seconds', async () => {
    const bytes = readFileSync('test/fixtures/early-odd-time.jsonl.gz');
    const key = 'manifests/fixture/20261130T170325Z-cfd952de.complete.jsonl.gz';
    const lines: ManifestLine[] = [];
    for await (const batch of readManifestBytes(Readable.from([bytes]), key)) lines.push(...batch);
    expect(lines).toContainEqual(expect.objectContaining({ typ: 'f', mt: '1000000000000.000000000' }));
    expect(lines.at(-1)).toMatchObject({ typ: 'end', counts: { d: 5, f: 2 } });
  });

  it('a sum of bytes beyond 2^53, which is as good as where sums stop now', async () => {
    const large = ['/a', '/b', '/c'].map((path) => ({ ...file(path, 'x'), size: 2 ** 53 - 1 }));
    for (const bytes of [3 * (2 ** 53 - 1), 2 ** 53 - 1])
      expect((await read(manifestOf(large, { bytes }))).at(-1)).toMatchObject({ bytes: 2 ** 53 - 1 });
    expect(await refusal(manifestOf(large, { bytes: 2 ** 53 - 2 }))).toContain('bytes where there are');
    expect(await refusal(manifestOf([file('/a', 'x')], { bytes: 2 ** 60 }))).toContain(
      'bytes where there are',
    );
  });
});
