import { randomBytes } from 'node:crypto';
import { BundleReader } from '#src/restore/bundle-reader.js';
import type { ByteRange } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';

const bundle = randomBytes(6 << 20);

function reader() {
  const asked: ByteRange[] = [];
  const made = new BundleReader(async (_key, _ver, range) => {
    asked.push(range);
    return bundle.subarray(range.start, range.end);
  });
  const read = (off: number, len: number) => made.read({ key: 'bundles/a.tar', ver: '1', off, len });
  return { asked, read };
}

describe('BundleReader', () => {
  it('gives every member its bytes, in order with few requests', async () => {
    const { asked, read } = reader();
    for (let off = 512; off + 2000 < bundle.length; off += 2560) {
      expect(Buffer.from(await read(off, 2000)).equals(bundle.subarray(off, off + 2000))).toBe(true);
    }
    expect(asked.length).toBeLessThan(12);
  });

  it('gives them however they are asked for', async () => {
    const { read } = reader();
    const places = Array.from({ length: 300 }, () => ({
      off: randomBytes(4).readUInt32LE() % (bundle.length - 70_000),
      len: randomBytes(2).readUInt16LE(),
    }));
    const all = await Promise.all(places.map(({ off, len }) => read(off, len)));
    for (const [index, bytes] of all.entries()) {
      const { off, len } = places[index] ?? { off: 0, len: 0 };
      expect(Buffer.from(bytes).equals(bundle.subarray(off, off + len))).toBe(true);
    }
  });

  it('fetches little for a file alone', async () => {
    const { asked, read } = reader();
    await read(3_000_000, 100);
    expect(asked).toHaveLength(1);
    expect((asked[0]?.end ?? 0) - (asked[0]?.start ?? 0)).toBeLessThanOrEqual(64 << 10);
  });

  it('says that a bundle is cut, and asks again after a failure', async () => {
    const { read } = reader();
    await expect(read(bundle.length - 10, 100)).rejects.toMatchObject({ code: 'DAMAGED' });
    let fails = true;
    const flaky = new BundleReader(async (_key, _ver, range) => {
      if (fails) throw new Error('cut off');
      return bundle.subarray(range.start, range.end);
    });
    const member = { key: 'bundles/a.tar', ver: '1', off: 512, len: 10 };
    await expect(flaky.read(member)).rejects.toThrow('cut off');
    fails = false;
    expect(await flaky.read(member)).toHaveLength(10);
  });
});
