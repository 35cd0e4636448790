import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { BundlePlan } from '#src/restore/bundle-plan.js';
import { PlannedBundles } from '#src/restore/planned-bundles.js';
import type { ByteRange } from '#src/store/port.js';
import { file } from '../manifest/build-manifest.js';

const MIB = 1 << 20;
const bundle = randomBytes(32 * MIB);

interface Member {
  key: string;
  ver: string;
  off: number;
  len: number;
}

const member = (off: number, len: number, key = 'bundles/a.tar'): Member => ({ key, ver: '1', off, len });
/** Members of so many bytes, one after the other. */
const members = (count: number, len: number, key?: string): Member[] =>
  Array.from({ length: count }, (_, index) => member(512 + index * (len + 512), len, key));
const entryOf = (dat: Member) => file('/a', '', { dat });

function reading(planned: readonly Member[]) {
  const asked: ByteRange[] = [];
  const plan = new BundlePlan();
  for (const each of planned) plan.add(entryOf(each));
  /** Bytes of sections that have not been released. */
  const lent = { bytes: 0 };
  const bundles = new PlannedBundles(plan, async (_key, _ver, range) => {
    asked.push(range);
    const bytes = bundle.subarray(range.start, range.end);
    lent.bytes += bytes.length;
    return { bytes, release: () => (lent.bytes -= bytes.length) };
  });
  /** False where it is better fetched by itself. */
  const read = async (one: Member): Promise<boolean> => {
    const member = await bundles.read(one);
    if (!member) return false;
    expect(Buffer.from(member.bytes).equals(bundle.subarray(one.off, one.off + one.len))).toBe(true);
    member.release();
    member.release(); // which does no harm
    return true;
  };
  return { asked, lent, plan, bundles, read };
}
const bytesOf = (ranges: readonly ByteRange[]): number =>
  ranges.reduce((sum, { start, end }) => sum + end - start, 0);

describe('a planned reading of bundles', () => {
  it('takes a request for each 4 MiB where all is wanted, in whatever order', async () => {
    const all = members(3000, 10_000);
    const { asked, read } = reading(all);
    const shuffled = all.map((one, index) => all[(index * 7 + 11) % all.length] ?? one);
    for (const one of shuffled) await read(one);
    expect(asked.length).toBe(Math.ceil((3000 * 10_512) / (4 * MIB)));
    expect(bytesOf(asked)).toBeLessThan(3000 * 10_512 + 8 * 512);
  });

  it('takes the same for all who ask at once', async () => {
    const all = members(300, 10_000);
    const { asked, read } = reading(all);
    await Promise.all(all.map(read));
    expect(asked).toHaveLength(1);
  });

  it('leaves members alone that lie far from each other', async () => {
    const few = [member(1000, 500), member(2 * MIB, 500)];
    const { asked, read } = reading(few);
    for (const one of few) expect(await read(one)).toBe(false);
    expect(asked).toEqual([]);
  });

  it('fetches from the first to the last that is wanted, and not all around', async () => {
    const some = members(50, 1000).map((one) => ({ ...one, off: one.off + MIB }));
    const { asked, read } = reading(some);
    for (const one of some) await read(one);
    expect(asked).toEqual([{ start: MIB + 512, end: MIB + 512 + 49 * 1512 + 1000 }]);
  });

  it('fetches nothing where nearly all was there already', async () => {
    const all = members(3000, 10_000);
    const { asked, plan, read } = reading(all);
    for (const [index, one] of all.entries()) {
      if (index % 500 === 250) expect(await read(one)).toBe(false);
      else plan.unwanted(entryOf(one));
    }
    expect(asked).toEqual([]);
  });

  it('fetches the sections that come next before anybody asks for them, and once', async () => {
    const all = members(3000, 10_000);
    const { asked, read } = reading(all);
    await read(all[0] as Member);
    expect(asked.map(({ start }) => Math.floor(start / (4 * MIB)))).toEqual([0, 1, 2, 3]);
    for (const one of all.slice(1)) await read(one);
    expect(asked).toHaveLength(Math.ceil((3000 * 10_512) / (4 * MIB)));
  });

  it('leaves members alone that it was not told of', async () => {
    const { asked, read } = reading([]);
    expect(await read(member(5 * MIB, 1000))).toBe(false);
    expect(asked).toEqual([]);
  });

  it('releases a section when nothing more of it is expected and all have released what they read', async () => {
    const { lent, bundles } = reading(members(300, 10_000));
    const held = await Promise.all(members(300, 10_000).map((one) => bundles.read(one)));
    for (const one of held) {
      expect(lent.bytes).toBeGreaterThan(3_000_000);
      one?.release();
    }
    expect(lent.bytes).toBe(0);
  });

  it('releases a section that nobody waits for any more when it comes', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `bundles/${index}.tar`);
    const { asked, lent, read } = reading(keys.flatMap((key) => members(390, 10_000, key)));
    // The first has three others fetched ahead, which those that are read then displace while they are on their way.
    const reads = [0, 10, 11, 12, 13, 14, 15, 16, 17, 18].map((index) =>
      read(members(1, 10_000, keys[index])[0] as Member),
    );
    await Promise.all(reads);
    expect(asked.length).toBeGreaterThan(10);
    expect(lent.bytes).toBeLessThanOrEqual(32 * MIB);
  });

  it('keeps no more sections than 32 MiB of them, and asks again for what it has let go', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `bundles/${index}.tar`);
    const planned = keys.flatMap((key) => members(390, 10_000, key));
    const { asked, lent, read } = reading(planned);
    for (const key of keys) await read(members(1, 10_000, key)[0] as Member);
    expect(asked).toHaveLength(20);
    expect(lent.bytes).toBeGreaterThan(24 * MIB);
    expect(lent.bytes).toBeLessThanOrEqual(32 * MIB);
    await read(members(2, 10_000, keys[19])[1] as Member);
    expect(asked).toHaveLength(20);
    await read(members(2, 10_000, keys[0])[1] as Member);
    expect(asked).toHaveLength(21);
  });

  it('asks again after a failure, and says that a bundle is cut', async () => {
    const plan = new BundlePlan();
    const all = members(300, 10_000);
    for (const one of all) plan.add(entryOf(one));
    let fails = true;
    const bundles = new PlannedBundles(plan, async (_key, _ver, { start, end }) => {
      if (fails) throw new Error('cut off');
      return { bytes: bundle.subarray(start, Math.min(end, 2 * MIB)), release: () => undefined };
    });
    const [first, second] = all as [Member, Member];
    await expect(bundles.read(first)).rejects.toThrow('cut off');
    fails = false;
    expect((await bundles.read(second))?.bytes).toHaveLength(10_000);
    await expect(bundles.read(all[299] as Member)).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});
