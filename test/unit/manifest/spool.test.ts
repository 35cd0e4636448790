import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type ManifestSink, ManifestSpool } from '#src/manifest/spool.js';
import { SpoolThread } from '#src/manifest/spool-thread.js';
import { OwnMemory } from '#src/own-memory.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const SINKS: [string, (path: string) => Promise<ManifestSink>][] = [
  ['in this thread', async (path) => new ManifestSpool(path)],
  ['in this thread, which waits', async (path) => new ManifestSpool(path, true)],
  ['in a thread of its own', async (path) => new SpoolThread(path)],
];

/** Lines that repeat themselves little enough for members of different lengths. */
function lines(block: number): string {
  return Array.from(
    { length: 50 * (block + 1) },
    (_, line) => `{"block":${block},"line":${line * 7919}}\n`,
  ).join('');
}

const carried = (block: number): Buffer => gzipSync(lines(block), { level: 9 });

const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();

describe.each(SINKS)('a manifest spooled %s', (_, create) => {
  it('has its lines in the order they came, compressed here or carried over, and the right hashes', async () => {
    const path = join(temporaryFolder(), 'manifest');
    const sink = await create(path);
    const all = Array.from({ length: 8 }, (_, block) => lines(block));
    const members = await Promise.all(
      all.map((text, block) =>
        block % 2 === 0
          ? sink.append(OwnMemory.of(Buffer.from(text)))
          : sink.carry(OwnMemory.of(carried(block)), Buffer.byteLength(text)),
      ),
    );
    let hash = '';
    const spooled = await sink.finish((sha) => {
      hash = sha;
      return Buffer.from('the end\n');
    });
    const file = readFileSync(path);
    expect(gunzipSync(file).toString()).toBe(`${all.join('')}the end\n`);
    expect(hash).toBe(sha256(all.join('')).toString('hex'));
    expect(spooled).toEqual({ path, size: file.length, md5: createHash('md5').update(file).digest('hex') });
    // One follows the other, each of the length it is said or known to have.
    let start = 0;
    for (const [block, told] of members.entries()) {
      const length = told?.length ?? carried(block).length;
      const member = file.subarray(start, start + length);
      expect(gunzipSync(member).toString()).toBe(all[block]);
      if (told === undefined) expect(member.equals(carried(block))).toBe(true);
      else expect(Buffer.from(told.hash).equals(sha256(member).subarray(0, 16))).toBe(true);
      start += length;
    }
    expect(members.map((told) => told === undefined)).toEqual(all.map((_, block) => block % 2 === 1));
  });

  it('takes a few bytes that share their memory with others, and leaves those alone', async () => {
    const shared = Buffer.from('first\nsecond\n');
    const sink = await create(join(temporaryFolder(), 'manifest'));
    await sink.append(OwnMemory.of(shared.subarray(0, 6)));
    expect(shared.toString()).toBe('first\nsecond\n');
    await sink.append(OwnMemory.of(shared.subarray(6)));
    const { path } = await sink.finish(() => Buffer.from('end\n'));
    expect(gunzipSync(readFileSync(path)).toString()).toBe('first\nsecond\nend\n');
  });

  it('takes a long buffer in parts, of which each leaves the others alone', async () => {
    const text = lines(40);
    const all = Buffer.from(text);
    const middle = text.indexOf('\n', text.length / 2) + 1;
    const sink = await create(join(temporaryFolder(), 'manifest'));
    await sink.append(OwnMemory.of(all.subarray(0, middle)));
    await sink.append(OwnMemory.of(all.subarray(middle)));
    const { path } = await sink.finish(() => Buffer.from('end\n'));
    expect(gunzipSync(readFileSync(path)).toString()).toBe(`${text}end\n`);
  });

  it('refuses a member that is not what it should be, and does not go on after it', async () => {
    const sink = await create(join(temporaryFolder(), 'manifest'));
    await expect(sink.carry(OwnMemory.of(Buffer.from('no gzip at all')), 10)).rejects.toThrow();
    await expect(sink.append(OwnMemory.of(Buffer.from('line\n')))).rejects.toThrow();
    await expect(sink.finish(() => Buffer.from('end\n'))).rejects.toThrow();
    await sink.discard();
  });

  it('leaves nothing behind when it is given up', async () => {
    const path = join(temporaryFolder(), 'manifest');
    const sink = await create(path);
    await sink.append(OwnMemory.of(Buffer.from('line\n')));
    await sink.discard();
    expect(existsSync(path)).toBe(false);
  });
});

it('a thread that cannot write says where', async () => {
  const path = join(temporaryFolder(), 'no-such-folder', 'manifest');
  const sink = new SpoolThread(path);
  await expect(sink.append(OwnMemory.of(Buffer.from('line\n')))).rejects.toMatchObject({
    code: 'SYSTEM',
    message: expect.stringContaining(path),
  });
  await sink.discard();
});
