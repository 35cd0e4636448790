import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { BundleTar, Slabs } from '#src/archive/bundle-tar.js';
import { SysbackupError } from '#src/errors.js';
import type { FileEntry, ObjectRef } from '#src/manifest/types.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, pastTheTick } from '../../kit/backup-machine.js';
import { readAll } from '../../kit/bodies.js';
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

describe('BundleTar', () => {
  it('makes a tar that GNU tar reads, with every member where it says', () => {
    const members = [0, 1, 511, 512, 513, 5000, 1_500_000].map((size, index) => {
      const bytes = randomBytes(size);
      return {
        sha: createHash('sha256').update(bytes).digest(),
        bytes,
        enc: index % 2 ? ('gzip' as const) : undefined,
      };
    });
    const tar = new BundleTar();
    const offs = members.map((member) => tar.add(member));
    const bytes = finished(tar);
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'bundle.tar'), bytes);
    mkdirSync(join(folder, 'out'));
    execFileSync('tar', ['xf', '../bundle.tar'], { cwd: join(folder, 'out') });
    for (const [index, member] of members.entries()) {
      const name = `${member.sha.toString('hex')}${member.enc === undefined ? '' : '.gz'}`;
      expect(readFileSync(join(folder, 'out', name)).equals(member.bytes)).toBe(true);
      const off = offs[index] ?? -1;
      expect(bytes.subarray(off, off + member.bytes.length).equals(member.bytes)).toBe(true);
    }
  });

  it('writes the very headers that tar-stream does, also into memory used before', async () => {
    const members = [0, 7, 511, 512, 3_000_000].map((size) => {
      const bytes = randomBytes(size);
      return { sha: createHash('sha256').update(bytes).digest(), bytes, enc: 'zstd' as const };
    });
    const slabs = new Slabs();
    const used = new BundleTar(slabs);
    used.add({ sha: randomBytes(32), bytes: randomBytes(5_000_000), enc: undefined });
    used.finish();
    used.release();
    const tar = new BundleTar(slabs);
    const reference = pack();
    for (const member of members) {
      tar.add(member);
      const name = `${member.sha.toString('hex')}.zst`;
      const header = { name, size: member.bytes.length, mode: 0o444, mtime: new Date(0), uid: 0, gid: 0 };
      reference.entry(header, member.bytes);
    }
    reference.finalize();
    expect(finished(tar).equals(await readAll(Readable.from(reference)))).toBe(true);
  });

  it('gives the same bytes for the same members, and their hashes', () => {
    const member = { sha: createHash('sha256').digest(), bytes: Buffer.from('x'), enc: undefined };
    const [one, two] = [new BundleTar(), new BundleTar()];
    one.add(member);
    two.add(member);
    const { sha, body } = one.finish();
    const bytes = finished(two);
    expect(createHash('sha256').update(bytes).digest().equals(sha)).toBe(true);
    expect(body).toMatchObject({ size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') });
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

  it('over 400 days of change keeps every living run whole, and the store below twice what lives', async () => {
    const machine = bundling();
    machine.now = Date.parse('2026-01-01T02:00:00Z');
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, daysRetained: 7 } };
    for (let index = 0; index < 120; index++) machine.write(`f${index}`, randomBytes(1000));
    const runs: { day: number; summary: Awaited<ReturnType<BackupMachine['archive']>>['summary'] }[] = [];
    let worst = 0;
    for (let day = 0; day < 400; day++) {
      machine.write(`f${(day * 7) % 120}`, randomBytes(1000));
      const { summary, problems } = await machine.archive();
      expect(problems).toEqual([]);
      runs.push({ day, summary });
      machine.now += DAY;
      machine.memory.passNight({ expireAfterDays: 7, noncurrentDays: 1 });
      // A run of day d is promised until d + 7, and the clock shows day + 1 now.
      const alive = runs.filter((run) => run.day + 7 > day + 1);
      const oldest = alive[0];
      if (oldest !== undefined && day % 20 === 0)
        await expectRestorable(machine, await machine.entries(oldest.summary));
      if (day < 30 || day % 20 !== 0) continue;
      const live = new Map<string, number>();
      for (const run of alive) {
        for (const entry of (await machine.entries(run.summary)).values()) {
          if (entry.typ === 'f') live.set(entry.sha, entry.size ?? 0);
        }
      }
      let stored = 0;
      for (const { key, size } of (await machine.memory.list({ prefix: 'bundles/' })).versions)
        stored += key === '' ? 0 : size;
      worst = Math.max(worst, stored / [...live.values()].reduce((sum, size) => sum + size, 0));
    }
    // Tar adds 512 bytes and filling to each content of 1000: a factor of 1.54 by itself.
    expect(worst / 1.54).toBeLessThan(2);
    expect(worst).toBeGreaterThan(1);
  }, 60_000);
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
