import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ObjectRef } from '#src/manifest/types.js';
import { BundlePlan } from '#src/restore/bundle-plan.js';
import { ContentFetcher } from '#src/restore/fetch-content.js';
import { SectionMemory } from '#src/restore/section-memory.js';
import { file } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';

const MIB = 1 << 20;

interface Member {
  dat: ObjectRef;
  content: Buffer;
}

describe('a content fetcher with a plan', () => {
  let store: FakeStore;
  let plan: BundlePlan;
  let fetcher: ContentFetcher;
  beforeEach(() => {
    store = new FakeStore();
    plan = new BundlePlan();
    fetcher = new ContentFetcher(store, { concurrency: 4, plan });
  });

  /** The members of bundles of four, each a section, of which all is wanted. */
  function bundles(count: number): Member[] {
    const members = Array.from({ length: count }, (_, index) => {
      const contents = [0, 1, 2, 3].map(() => randomBytes(MIB - 512));
      const key = `bundles/${index}.tar`;
      const ver = store.add(key, Buffer.concat(contents.flatMap((content) => [Buffer.alloc(512), content])));
      return contents.map((content, at) => ({
        dat: { key, ver, off: at * MIB + 512, len: content.length },
        content,
      }));
    }).flat();
    for (const { dat } of members) plan.add(file('/a', '', { dat }));
    return members;
  }

  it('gives what has come with a member at once, and with no request of its own', async () => {
    const [first, second] = bundles(1) as [Member, Member];
    const one = await fetcher.stored(first.dat, MIB - 512);
    const other = fetcher.stored(second.dat, MIB - 512);
    expect(other).not.toBeInstanceOf(Promise);
    expect(Buffer.from(one.lent.bytes).equals(first.content)).toBe(true);
    expect(Buffer.from((await other).lent.bytes).equals(second.content)).toBe(true);
    expect(store.gets).toHaveLength(1);
  });

  // 160 MiB; only 64 are lent at a time, so without a release it would stand still.
  it('goes on for ever where what it gave is released, in whichever way it was asked for', async () => {
    for (const [index, { dat, content }] of bundles(40).entries()) {
      if (index % 4 === 3) {
        const stored = await fetcher.stored(dat, content.length);
        expect(Buffer.from(stored.lent.bytes).equals(content)).toBe(true);
        stored.lent.release();
        stored.lent.release();
      } else {
        const pieces: Uint8Array[] = [];
        for await (const { bytes } of fetcher.pieces(dat, content.length))
          pieces.push(Uint8Array.from(bytes));
        expect(Buffer.concat(pieces).equals(content)).toBe(true);
      }
    }
    expect(store.gets).toHaveLength(40);
  });

  it('goes on after what is damaged, or cannot be fetched', async () => {
    const members = bundles(40);
    for (const [index, { dat, content }] of members.entries()) {
      if (index % 4 > 0) continue;
      const wrong = { ...dat, enc: 'gzip' as const };
      await expect(fetcher.pieces(wrong, content.length).next()).rejects.toMatchObject({ code: 'DAMAGED' });
      await expect(fetcher.pieces(wrong, content.length).next()).rejects.toMatchObject({ code: 'DAMAGED' });
    }
    const { dat } = members[0] as Member;
    for (let time = 0; time < 40; time += 1) {
      store.replaced.set(`${dat.key}@${dat.ver}`, () => Readable.from([Buffer.alloc(100)]));
      await expect(fetcher.pieces(dat, MIB - 512).next()).rejects.toMatchObject({ code: 'DAMAGED' });
    }
    const other = members[7] as Member;
    const stored = await fetcher.stored(other.dat, MIB - 512);
    expect(Buffer.from(stored.lent.bytes).equals(other.content)).toBe(true);
  });

  it('refuses more bytes than it asked for', async () => {
    const { dat } = bundles(1)[0] as Member;
    store.replaced.set(`${dat.key}@${dat.ver}`, () =>
      Readable.from([Buffer.alloc(3 * MIB), Buffer.alloc(3 * MIB)]),
    );
    await expect(fetcher.stored(dat, MIB - 512)).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining(dat.key),
    });
  });

  it('fetches by itself what it was told nothing of', async () => {
    const content = Buffer.from('a member');
    const bytes = gzipSync(content);
    const ver = store.add('bundles/other.tar', Buffer.concat([Buffer.alloc(512), bytes, Buffer.alloc(MIB)]));
    const dat = { key: 'bundles/other.tar', ver, off: 512, len: bytes.length, enc: 'gzip' as const };
    const stored = await fetcher.stored(dat, content.length);
    expect(Buffer.from(stored.lent.bytes).equals(bytes)).toBe(true);
    stored.lent.release();
    const { value } = await fetcher.pieces(dat, content.length).next();
    expect(Buffer.from(value?.bytes ?? []).equals(content)).toBe(true);
  });
});

describe('memory for sections', () => {
  it('is lent to no more than it has room for, in order, and used again', async () => {
    const memory = new SectionMemory(8 * MIB);
    const first = await memory.lend(5 * MIB);
    const { buffer } = first.bytes;
    const order: number[] = [];
    const second = memory.lend(4 * MIB).then((lent) => (order.push(2), lent));
    const third = memory.lend(1 * MIB).then((lent) => (order.push(3), lent));
    first.release();
    first.release(); // which does no harm
    const [two, three] = await Promise.all([second, third]);
    expect(order).toEqual([2, 3]);
    expect(two.bytes).toHaveLength(4 * MIB);
    expect(two.bytes.buffer).toBe(buffer);
    expect(() => first.bytes).toThrow('given back');
    expect(three.bytes.buffer).not.toBe(two.bytes.buffer);
  });
});
