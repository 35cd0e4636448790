import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import {
  type BundleTar,
  GzipBundleTar,
  type MemberPlace,
  PlainBundleTar,
  type TarMember,
} from '#src/archive/bundle-tar.js';
import { membersOfTar } from '#src/audit/tar-members.js';
import { decode } from '#src/content/decode.js';
import { SysbackupError } from '#src/errors.js';
import type { FileEntry, ObjectRef } from '#src/manifest/types.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, pastTheTick } from '../../kit/backup-machine.js';
import { temporaryFolder } from '../../kit/temporary.js';

const DAY = 86_400_000;

function bundling(): BackupMachine {
  const machine = new BackupMachine();
  machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: 4096 } };
  return machine;
}

async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  const found = [];
  for await (const { key } of listAll(store, { prefix })) found.push(key);
  return found;
}

/** A file's bytes by its manifest entry alone. */
async function contentOf(machine: BackupMachine, entry: FileEntry): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const ref of entry.dat === null ? [] : [entry.dat].flat()) {
    const range = ref.off === undefined ? undefined : { start: ref.off, end: ref.off + (ref.len ?? 0) };
    const chunks: Buffer[] = [];
    for await (const chunk of await machine.memory.get(ref.key, ref.ver, range)) chunks.push(chunk as Buffer);
    const stored = Buffer.concat(chunks);
    const bytes = ref.enc === 'gzip' ? gunzipSync(stored) : stored;
    const times = 'n' in ref && typeof ref.n === 'number' ? ref.n : 1;
    for (let time = 0; time < times; time++) parts.push(bytes);
  }
  return Buffer.concat(parts);
}

async function expectRestorable(machine: BackupMachine, entries: Map<string, unknown>): Promise<void> {
  for (const [path, entry] of entries as Map<string, FileEntry>) {
    if (entry.typ !== 'f') continue;
    const bytes = await contentOf(machine, entry);
    expect(createHash('sha256').update(bytes).digest('hex'), path).toBe(entry.sha);
  }
}

/** The bytes of a finished tar. */
function finished(tar: BundleTar): Buffer {
  const { body } = tar.finish();
  return Buffer.concat('pieces' in body ? body.pieces.filter((piece) => piece instanceof Uint8Array) : []);
}

/** Contents of awkward lengths, some of which compress. */
function members(): (TarMember & { sha: Buffer; content: Buffer })[] {
  return [0, 1, 511, 512, 513, 1023, 5000, 65_535, 65_536, 200_000, 1_500_000].flatMap((size) =>
    [randomBytes(size), Buffer.alloc(size, `${size} `)].map((content, index) => {
      const sha = createHash('sha256').update(content).digest();
      const enc = index === 1 ? ('gzip' as const) : undefined;
      return { sha, content, enc, bytes: enc === undefined ? content : gzipSync(content), size };
    }),
  );
}

describe.each([
  ['PlainBundleTar', () => new PlainBundleTar()],
  ['GzipBundleTar', () => new GzipBundleTar()],
])('%s', (_name, make: () => BundleTar) => {
  it('makes a tar that GNU tar reads, with every member where it says', () => {
    const added = members();
    const tar = make();
    const places = added.map((member) => tar.add(member));
    const bytes = finished(tar);
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'bundle.tar'), bytes);
    mkdirSync(join(folder, 'out'));
    const said = execFileSync('tar', ['xvf', '../bundle.tar'], {
      cwd: join(folder, 'out'),
      encoding: 'utf8',
    });
    expect(said.trim().split('\n')).toHaveLength(added.length);
    for (const [index, { sha, content, bytes: stored, enc }] of added.entries()) {
      const suffix = enc === undefined || tar.enc === 'gzip' ? '' : '.gz';
      const extracted = readFileSync(join(folder, 'out', `${sha.toString('hex')}${suffix}`));
      expect(extracted.equals(suffix === '' ? content : stored)).toBe(true);
      const { off, len, enc: form } = places[index] as MemberPlace;
      const range = bytes.subarray(off, off + len);
      expect(Buffer.from(decode(range, form, { size: content.length, what: 'it' })).equals(content)).toBe(
        true,
      );
    }
  });

  it('is read back by what verifies it', () => {
    const added = members();
    const tar = make();
    const places = added.map((member) => tar.add(member));
    const found = [...membersOfTar(finished(tar), 'it')];
    expect(found.map(({ off, len, enc, sha }) => ({ off, len, enc, sha }))).toEqual(
      places.map((place, index) => ({ ...place, sha: added[index]?.sha.toString('hex') })),
    );
    for (const [index, { content }] of found.entries()) {
      const expected = added[index]?.content ?? Buffer.alloc(0);
      expect(expected.equals(content(expected.length))).toBe(true);
      expect(() => content(expected.length + 1)).toThrow();
    }
  });

  it('gives the same bytes for the same members, and their hashes', () => {
    const [one, two] = [make(), make()];
    for (const member of members()) {
      one.add(member);
      two.add(member);
    }
    const second = finished(two);
    const { sha, body } = one.finish();
    expect(body.size).toBe(second.length);
    expect(one.size).toBe(second.length);
    expect(createHash('sha256').update(second).digest().equals(sha)).toBe(true);
  });
});

describe('a compressed tar', () => {
  it('costs a small content about 140 bytes, where a plain one costs 512 and more', () => {
    const sizes = [new PlainBundleTar(), new GzipBundleTar()].map((tar: BundleTar) => {
      let content = 0;
      for (let index = 0; index < 1000; index++) {
        const bytes = gzipSync(randomBytes(32).toString('hex'));
        content += bytes.length;
        tar.add({ sha: randomBytes(32), enc: 'gzip', bytes, size: 64 });
      }
      return (finished(tar).length - content) / 1000;
    });
    expect(sizes[0]).toBeGreaterThan(512);
    expect(sizes[1]).toBeLessThan(150);
  });

  it.each([
    ['nothing', (bytes: Buffer) => bytes.subarray(0, 0)],
    ['half of it', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['no end', (bytes: Buffer) => bytes.subarray(0, -20)],
    [
      'a changed byte',
      (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === 30 ? byte ^ 8 : byte))),
    ],
    ['a gzip of something else', () => gzipSync(randomBytes(5000))],
  ])('is refused where it is %s', (_what, change) => {
    const tar = new GzipBundleTar();
    for (const member of members()) tar.add(member);
    const broken = change(finished(tar));
    const read = () => [...membersOfTar(broken, 'the bundle')];
    if (broken.length === 0) expect(read()).toEqual([]);
    else expect(read).toThrow('the bundle is no tar of contents');
  });
});

describe('a run with bundles', () => {
  it('stores small files together and large ones by themselves, and all come back', async () => {
    const machine = bundling();
    for (let index = 0; index < 300; index++) machine.write(`small/${index}`, `content ${index % 200}`);
    machine.write('large', randomBytes(50_000));
    machine.write('blocks', Buffer.concat([randomBytes(64 * 1024), Buffer.from('short end')]));
    machine.write('empty', '');
    const { summary, asked } = await machine.archive();
    expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(1 + 1 + 2 + 1);
    expect(await keys(machine.store, 'bundles/')).toHaveLength(1);
    const entries = await machine.entries(summary);
    await expectRestorable(machine, entries);
    const dat = (entries.get('small/1') as FileEntry).dat as ObjectRef;
    expect(dat).toMatchObject({
      key: expect.stringMatching(/^bundles\/[0-9a-f]{64}\.tar$/),
      len: expect.any(Number),
    });
    expect((entries.get('small/201') as FileEntry).dat).toEqual(dat);
    const { sha, version } = { sha: dat.key.slice(8, 72), version: dat.ver };
    const chunks: Buffer[] = [];
    for await (const chunk of await machine.memory.get(dat.key, version)) chunks.push(chunk as Buffer);
    expect(createHash('sha256').update(Buffer.concat(chunks)).digest('hex')).toBe(sha);
  });

  it('makes as many bundles as their bounds ask for, whatever is under way', async () => {
    const machine = bundling();
    for (let index = 0; index < 9_000; index++) machine.write(`d${index % 50}/${index}`, `content ${index}`);
    const { summary } = await machine.archive({ workers: 2 });
    expect(summary.counts.f).toBe(9_000);
    const bundles = await keys(machine.store, 'bundles/');
    expect(bundles.length).toBeGreaterThanOrEqual(2);
    expect(bundles.length).toBeLessThanOrEqual(4);
    await expectRestorable(machine, await machine.entries(summary));
  });

  it('sends nothing but the manifest the next time, and only what is new after a change', async () => {
    const machine = bundling();
    for (let index = 0; index < 40; index++) machine.write(`f${index}`, `content ${index}`);
    await pastTheTick();
    await machine.archive();
    const second = await machine.archive();
    expect(second.asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
    expect(second.summary.read.files).toBe(0);
    machine.write('f7', 'changed');
    machine.write('copy-of-8', 'content 8');
    const third = await machine.archive();
    expect(await keys(machine.store, 'bundles/')).toHaveLength(2);
    await expectRestorable(machine, await machine.entries(third.summary));
  });

  it('does not bundle again what an object of its own holds already', async () => {
    const machine = bundling();
    machine.write('f', 'content');
    const plain = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: 0 } };
    await machine.archive({ settings: plain });
    machine.write('g', 'content');
    const { summary } = await machine.archive();
    expect(await keys(machine.store, 'bundles/')).toEqual([]);
    expect(((await machine.entries(summary)).get('g') as FileEntry).dat).toMatchObject({
      key: expect.stringMatching(/^content/),
    });
  });

  it('sends no bundle again that was confirmed before the run was cut off', async () => {
    const machine = bundling();
    for (let index = 0; index < 50; index++) machine.write(`f${index}`, `content ${index}`);
    const { memory } = machine;
    const failing: ObjectStore = Object.assign(Object.create(memory) as ObjectStore, {
      list: memory.list.bind(memory),
      now: memory.now.bind(memory),
      capabilities: memory.capabilities.bind(memory),
      put: async (request: Parameters<ObjectStore['put']>[0]) => {
        if (request.key.startsWith('manifests/')) throw new SysbackupError('STORE_FAILED', 'cut off');
        return await memory.put(request);
      },
    });
    await expect(machine.archive({ store: failing })).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const { summary, asked } = await machine.archive();
    expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
    await expectRestorable(machine, await machine.entries(summary));
  });

  it('stores bundled content again when the catalog is lost, and forgets bundles that are gone', async () => {
    const machine = bundling();
    for (let index = 0; index < 20; index++) machine.write(`f${index}`, `content ${index}`);
    await pastTheTick();
    await machine.archive();
    rmSync(machine.statePath, { recursive: true });
    const again = await machine.archive();
    await expectRestorable(machine, await machine.entries(again.summary));
    const rows = await machine.memory.list({ prefix: 'bundles/' });
    for (const { key, version } of rows.versions)
      machine.memory.deleteVersion(key, version, { bypassGovernance: true });
    let last = again;
    for (let run = 0; run < 7; run++) last = await machine.archive();
    await expectRestorable(machine, await machine.entries(last.summary));
  });

  it('over 100 days of change keeps every living run whole', async () => {
    const machine = bundling();
    machine.now = Date.parse('2026-01-01T02:00:00Z');
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, daysRetained: 7 } };
    for (let index = 0; index < 120; index++) machine.write(`f${index}`, randomBytes(1000));
    const runs: { day: number; summary: Awaited<ReturnType<BackupMachine['archive']>>['summary'] }[] = [];
    let bundledAnew = 0;
    for (let day = 0; day < 100; day++) {
      for (const file of [day * 7, day * 11]) machine.write(`f${file % 120}`, randomBytes(1000));
      const { summary, problems } = await machine.archive({ bundleBytes: 20_000 });
      expect(problems).toEqual([]);
      if (summary.stored.objects > 1) bundledAnew++;
      runs.push({ day, summary });
      machine.now += DAY;
      machine.memory.passNight({ expireAfterDays: 7, noncurrentDays: 1 });
      // A run of day d is promised until d + 7, and the clock shows day + 1 now.
      const oldest = runs.find((run) => run.day + 7 > day + 1);
      if (oldest !== undefined && day % 5 === 0)
        await expectRestorable(machine, await machine.entries(oldest.summary));
    }
    expect(bundledAnew).toBeGreaterThan(5);
  }, 180_000);

  it('asks nobody whether a small file is stored already, and does not bundle what is known as an object', async () => {
    const other = bundling();
    const machine = bundling();
    machine.store = other.store;
    const content = (index: number) => `content ${index} `.repeat(20);
    const plain = { ...other.settings, content: { ...other.settings.content, bundleBelow: 0 } };
    for (let index = 0; index < 30; index++) other.write(`f${index}`, content(index));
    await other.archive({ settings: plain });
    const objects = await keys(machine.store, 'content/');
    expect(objects).toHaveLength(30);
    // Another machine's small objects, with sharing on: a look at each would cost more than a place in a bundle.
    for (let index = 0; index < 30; index++) machine.write(`g${index}`, content(index));
    const { asked } = await machine.archive();
    expect(asked.filter(({ key }) => key.startsWith('content/'))).toEqual([]);
    expect(asked.filter(({ key }) => key.startsWith('bundles/'))).toHaveLength(1);
    // The machine's own, which it knows, are kept.
    other.write('again', content(7));
    const own = await other.archive();
    expect(own.asked.filter(({ kind, key }) => kind === 'put' && !key.startsWith('manifests/'))).toEqual([]);
    expect(await keys(machine.store, 'bundles/')).toHaveLength(1);
  });
});

describe('an entry that was not looked at when its content moved', () => {
  it('is made anew: a broken run stores elsewhere what its old line still names', async () => {
    const machine = new BackupMachine();
    machine.write('a/one', 'the same');
    machine.write('b/two', 'the same');
    await pastTheTick();
    await machine.archive();
    const { versions } = await machine.memory.list({ prefix: 'content/' });
    const old = versions[0];
    machine.memory.deleteVersion(old?.key ?? '', old?.version ?? '', { bypassGovernance: true });
    // Seven broken runs that see only the second file: one of them notices, and stores the content anew.
    machine.picker('tree', `find '${machine.tree}/b'`);
    machine.picker('zero', 'exit 1');
    for (let run = 0; run < 8; run++) await machine.archive();
    machine.picker('tree', `find '${machine.tree}'`);
    machine.picker('zero', `echo '${machine.tree}'`);
    const { summary } = await machine.archive();
    const entries = await machine.entries(summary);
    await expectRestorable(machine, entries);
  });
});
