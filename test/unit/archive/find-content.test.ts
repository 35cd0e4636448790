import { createHash, randomBytes } from 'node:crypto';
import { ContentFinder } from '#src/archive/find-content.js';
import { MemoryStore } from '#src/store/memory.js';
import { describe, expect, it } from 'vitest';
import { recorded } from '../../kit/backup-machine.js';

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');

const raw = (bytes: Uint8Array) => ({ bytes, md5: md5(bytes), enc: undefined });

/** A store with so many contents, as another machine stored them. */
function filled(count: number) {
  const memory = new MemoryStore();
  const contents = Array.from({ length: count }, (_, index) => Buffer.from(`content ${index}`));
  for (const bytes of contents) memory.putForeign({ key: `content/${sha(bytes)}`, bytes });
  return { memory, contents, ...recorded(memory) };
}

describe('ContentFinder', () => {
  it('finds each content that is there, and none that is not', async () => {
    const { store, memory, contents } = filled(2500);
    const finder = new ContentFinder(store, true);
    for (const bytes of contents) {
      const found = await finder.find(sha(bytes), raw(bytes));
      expect((await memory.head(`content/${sha(bytes)}`, found?.version ?? '')).size).toBe(bytes.length);
      const other = randomBytes(10);
      expect(await finder.find(sha(other), raw(other))).toBeUndefined();
    }
  });

  it.each([3, 40, 900, 2500])(
    'asks no more than about twice as often as was needed for %i questions',
    async (count) => {
      const { store, contents, asked } = filled(4000);
      const finder = new ContentFinder(store, true);
      for (const bytes of contents.slice(0, count)) await finder.find(sha(bytes), raw(bytes));
      const least = Math.min(count, 4);
      expect(asked.length).toBeLessThanOrEqual(2 * least + 6);
    },
  );

  it('takes the oldest of several identical versions, and none of another size or MD5', async () => {
    const memory = new MemoryStore();
    const bytes = Buffer.from('right');
    const key = `content/${sha(bytes)}`;
    memory.putForeign({ key, bytes: Buffer.from('wrong') });
    const { version } = memory.putForeign({ key, bytes });
    memory.putForeign({ key, bytes });
    memory.putForeign({ key, bytes, etag: `${md5(bytes)}-2` });
    memory.putForeign({ key, bytes: Buffer.from('longer') });
    memory.addDeleteMarker(key);
    expect(await new ContentFinder(memory, true).find(sha(bytes), raw(bytes))).toEqual({
      version,
      enc: undefined,
      size: 5,
    });
    expect(await new ContentFinder(memory, false).find(sha(bytes), raw(bytes))).toBeUndefined();
  });

  it('asks for another form only of a content that is there, and not in the first', async () => {
    const memory = new MemoryStore();
    const content = Buffer.from('as it is');
    const [mine, theirs] = [Buffer.from('packed by me'), Buffer.from('packed by them')];
    const key = `content/${sha(content)}`;
    const finder = () => new ContentFinder(memory, true);
    let asked = 0;
    const other = async () => {
      asked++;
      return { bytes: theirs, md5: md5(theirs), enc: 'gzip' } as const;
    };
    const own = { bytes: mine, md5: md5(mine), enc: 'gzip' } as const;
    expect(await finder().find(sha(content), own, other)).toBeUndefined();
    expect(asked).toBe(0);
    memory.putForeign({ key, bytes: Buffer.from('something else') });
    expect(await finder().find(sha(content), own, other)).toBeUndefined();
    expect(asked).toBe(1);
    const { version: foreign } = memory.putForeign({ key, bytes: theirs });
    expect(await finder().find(sha(content), own, other)).toEqual({
      version: foreign,
      enc: 'gzip',
      size: theirs.length,
    });
    expect(asked).toBe(2);
    const { version: same } = memory.putForeign({ key, bytes: mine });
    expect(await finder().find(sha(content), own, other)).toEqual({
      version: same,
      enc: 'gzip',
      size: mine.length,
    });
    expect(asked).toBe(2);
  });
});
