import { createHash, randomBytes } from 'node:crypto';
import { rmSync, utimesSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { RunSummary } from '#src/archive/options.js';
import { encode } from '#src/content/encode.js';
import { gzipLibraryFor } from '#src/content/gzip-library.js';
import { contentKey } from '#src/manifest/keys.js';
import { listAll, type ListedVersion, type ObjectStore, type Retention } from '#src/store/port.js';
import { BackupMachine } from './backup-machine.js';
import { restoreTree, treeOf } from './trees.js';

/** What someone with the machine's rights to add can do to a bucket, and a little more. */
export interface Attacker {
  put(key: string, bytes: Uint8Array, lock?: Retention): Promise<void>;
  /** The same bytes, in a way that gives them an ETag that is no MD5. */
  putMultipart(key: string, bytes: Uint8Array, lock?: Retention): Promise<void>;
  /** What a DELETE without a version does. */
  addDeleteMarker(key: string): Promise<void>;
}

export interface AttackedStore {
  /** What the machine stores through, with its rights. */
  store: ObjectStore;
  /** What a restore reads through. */
  reading: ObjectStore;
  attacker: Attacker;
}

/** A content that the machine is going to store next, as whoever is on the machine knows it. */
interface NextContent {
  key: string;
  /** The very bytes that the machine would send. */
  bytes: Uint8Array;
  raw: Uint8Array;
}

const DAY = 86_400;

/**
 * The promise "nobody who takes the backup machine can poison a backup", shown on any store: whatever stands under
 * the next file's key, the next run names a version with the right bytes, locked as long as promised.
 */
export function describeAttacks(name: string, open: () => Promise<AttackedStore>): void {
  const lockFor = (days: number, mode: Retention['mode'] = 'GOVERNANCE'): Retention => ({
    mode,
    until: Math.ceil(Date.now() / 1000) + days * DAY,
  });

  async function attacked(): Promise<AttackedStore & { machine: BackupMachine }> {
    const opened = await open();
    const machine = new BackupMachine();
    machine.store = opened.store;
    return { ...opened, machine };
  }

  /** One file whose bytes are sent as they are, and one that is sent compressed. */
  function writeNext(machine: BackupMachine): NextContent[] {
    const files = {
      raw: randomBytes(3000),
      packed: Buffer.alloc(3000, `${randomBytes(8).toString('hex')} `),
    };
    const { compression, compressionLevel: level, gzipLibrary: library } = machine.settings.content;
    const gzipLibrary = gzipLibraryFor(library);
    return Object.entries(files).map(([path, raw]) => {
      settle(machine.write(path, raw));
      const key = contentKey(createHash('sha256').update(raw).digest('hex'));
      return { key, raw, bytes: Buffer.from(encode(raw, { compression, level, gzipLibrary }).bytes) };
    });
  }

  async function versionsOf(store: ObjectStore, key: string): Promise<ListedVersion[]> {
    const versions: ListedVersion[] = [];
    for await (const listed of listAll(store, { prefix: key }))
      if (!listed.deleteMarker) versions.push(listed);
    return versions;
  }

  /** All that a run names is there, has the right bytes and is locked as long as its manifest says. */
  async function expectPromisesKept(machine: BackupMachine, reading: ObjectStore, summary: RunSummary) {
    machine.store = reading;
    const [header] = await machine.lines(summary);
    if (header?.typ !== 'manifest' || header.retention === null) throw new Error('no header, or no lock');
    const { mode, until } = header.retention;
    const named = [...(await machine.entries(summary)).values()].flatMap((entry) =>
      entry.typ === 'f' && entry.dat !== null ? [entry.dat].flat() : [],
    );
    for (const { key, ver } of [
      ...named,
      { key: summary.manifest?.key ?? '', ver: summary.manifest?.version ?? '' },
    ]) {
      const lock = await reading.getRetention(key, ver);
      expect(lock?.mode).toBe(mode);
      expect(lock?.until).toBeGreaterThanOrEqual(Date.parse(until) / 1000);
    }
    const { summary: restored, tree } = await restoreTree(reading, machine.tree, summary.run);
    expect(restored.failed).toBe(0);
    expect(tree).toEqual(treeOf(machine.tree));
  }

  describe(`${name}: under the next file's key someone with the machine's rights has put`, () => {
    it.each([
      [
        'wrong bytes of the same size',
        'stores its own',
        ({ bytes }: NextContent) => randomBytes(bytes.length),
      ],
      [
        'wrong bytes of another size',
        'stores its own',
        ({ bytes }: NextContent) => randomBytes(bytes.length + 7),
      ],
      ['no bytes at all', 'stores its own', () => Buffer.alloc(0)],
      [
        'right content that another program compressed',
        'stores its own',
        ({ raw }: NextContent) => gzipSync(raw, { level: 1, memLevel: 1 }),
      ],
      [
        'the right bytes with a shorter lock',
        'uses them and moves their lock out',
        ({ bytes }: NextContent) => bytes,
      ],
    ] as const)('%s: the next run %s', async (_, does, forge) => {
      const { machine, attacker, reading } = await attacked();
      const next = writeNext(machine);
      for (const content of next) await attacker.put(content.key, forge(content), lockFor(1));
      const { summary } = await machine.archive();
      expect(summary.outcome).toBe('complete');
      expect(summary.stored.objects).toBe(does === 'stores its own' ? 2 : 0);
      await expectPromisesKept(machine, reading, summary);
    });

    it('the right bytes without any lock: the next run locks them', async () => {
      const { machine, attacker, reading } = await attacked();
      for (const { key, bytes } of writeNext(machine)) await attacker.put(key, bytes);
      const { summary } = await machine.archive();
      expect(summary).toMatchObject({ stored: { objects: 0 }, renewed: 2 });
      await expectPromisesKept(machine, reading, summary);
    });

    it('the right bytes with a lock in the weaker mode: what the next run names is in COMPLIANCE mode', async () => {
      const { machine, attacker, reading } = await attacked();
      // Days that a locked bucket of a real server outlives its test by.
      machine.settings = {
        ...machine.settings,
        content: { ...machine.settings.content, mode: 'COMPLIANCE', daysRetained: 1 },
      };
      for (const { key, bytes } of writeNext(machine)) await attacker.put(key, bytes, lockFor(100));
      const { summary } = await machine.archive();
      await expectPromisesKept(machine, reading, summary);
    });

    it('the right bytes in several parts, so that their ETag is no MD5: the next run stores its own', async () => {
      const { machine, attacker, reading } = await attacked();
      for (const { key, bytes } of writeNext(machine)) await attacker.putMultipart(key, bytes, lockFor(100));
      const { summary } = await machine.archive();
      expect(summary.stored.objects).toBe(2);
      await expectPromisesKept(machine, reading, summary);
    });

    it('a delete marker: the next run stores its own', async () => {
      const { machine, attacker, reading } = await attacked();
      for (const { key } of writeNext(machine)) await attacker.addDeleteMarker(key);
      const { summary } = await machine.archive();
      expect(summary.stored.objects).toBe(2);
      await expectPromisesKept(machine, reading, summary);
    });

    it('all of it at once, right bytes among wrong ones and a delete marker on top: the next run finds the right ones', async () => {
      const { machine, attacker, reading } = await attacked();
      for (const { key, bytes } of writeNext(machine)) {
        await attacker.put(key, randomBytes(bytes.length), lockFor(100));
        await attacker.put(key, bytes);
        await attacker.put(key, randomBytes(bytes.length), lockFor(1));
        await attacker.addDeleteMarker(key);
      }
      const { summary } = await machine.archive();
      expect(summary.stored.objects).toBe(0);
      await expectPromisesKept(machine, reading, summary);
    });

    it('the right bytes, and share = no: the next run stores its own, unseen', async () => {
      const { machine, attacker, reading } = await attacked();
      const next = writeNext(machine);
      for (const { key, bytes } of next) await attacker.put(key, bytes, lockFor(100));
      machine.settings = { ...machine.settings, content: { ...machine.settings.content, share: false } };
      const { summary } = await machine.archive();
      expect(summary.stored.objects).toBe(2);
      for (const { key } of next) expect(await versionsOf(reading, key)).toHaveLength(2);
      await expectPromisesKept(machine, reading, summary);
    });
  });

  describe(`${name}: on top of what a run has stored someone with the machine's rights has put`, () => {
    it.each([
      [
        'wrong bytes',
        async (attacker: Attacker, key: string) => attacker.put(key, randomBytes(3000), lockFor(100)),
      ],
      ['a delete marker', async (attacker: Attacker, key: string) => attacker.addDeleteMarker(key)],
    ] as const)('%s: that run and the next restore right, with memory and without', async (_, attack) => {
      const { machine, attacker, reading, store } = await attacked();
      const next = writeNext(machine);
      const first = await machine.archive();
      for (const { key } of next) await attack(attacker, key);
      await expectPromisesKept(machine, reading, first.summary);
      machine.store = store;
      const second = await machine.archive();
      expect(second.summary.stored.objects).toBe(0);
      await expectPromisesKept(machine, reading, second.summary);
      machine.store = store;
      rmSync(machine.statePath, { recursive: true });
      const third = await machine.archive();
      expect(third.summary.stored.objects).toBe(0);
      await expectPromisesKept(machine, reading, third.summary);
    });

    it('a second version of its manifest, and a delete marker: the first is read, the second reported', async () => {
      const { machine, attacker, reading, store } = await attacked();
      writeNext(machine);
      const first = await machine.archive();
      const key = first.summary.manifest?.key ?? '';
      rmSync(`${machine.tree}/raw`);
      const poorer = await archiveElsewhere(machine);
      await attacker.put(key, poorer, lockFor(100));
      await attacker.addDeleteMarker(key);
      machine.write('raw', 'back');
      const { tree, warnings, summary } = await restoreTree(reading, machine.tree);
      expect(summary.run).toBe(first.summary.run);
      expect(Object.keys(tree)).toContain('raw');
      expect(warnings.join()).toContain('only the first counts');
      machine.store = store;
      const second = await machine.archive();
      await expectPromisesKept(machine, reading, second.summary);
    });

    it('a manifest dated in the future and an empty one, under its backup name: `latest` is the good one', async () => {
      const { machine, attacker, reading, store } = await attacked();
      writeNext(machine);
      const { summary } = await machine.archive();
      const [date = '', mark = ''] = summary.run.split('-');
      const poorer = await archiveElsewhere(machine, `echo '${machine.tree}/raw'`);
      const empty = await archiveElsewhere(machine, 'true');
      // The empty one has a time that could be, and both have the machine's own mark.
      for (const [run, bytes] of [
        [`2099${date.slice(4)}-${mark}`, poorer],
        [`${date.slice(0, 8)}T235959Z-${mark}`, empty],
      ] as const)
        await attacker.put(`manifests/test-backup/${run}.complete.jsonl.gz`, bytes, lockFor(100));
      const { summary: restored, tree, warnings } = await restoreTree(reading, machine.tree);
      expect(restored.run).toBe(summary.run);
      expect(tree).toEqual(treeOf(machine.tree));
      expect(warnings.filter((warning) => warning.includes('passed over'))).toHaveLength(2);
      machine.store = store;
      const second = await machine.archive();
      expect(second.summary).toMatchObject({ outcome: 'complete', stored: { objects: 0 } });
      await expectPromisesKept(machine, reading, second.summary);
    });
  });
}

/** Sets times far enough back that the next run need not doubt them. */
function settle(path: string): void {
  utimesSync(path, 1_600_000_000, 1_600_000_000);
}

/** The bytes of a whole manifest of this tree as it is now, or of what `picker` prints, stored nowhere near. */
async function archiveElsewhere(machine: BackupMachine, picker?: string): Promise<Buffer> {
  const other = new BackupMachine();
  other.picker('tree', picker ?? `find '${machine.tree}' -print0`);
  const settings = { ...other.settings, programs: { timeout: undefined, allowEmpty: ['tree'] } };
  const { summary } = await other.archive({ settings });
  const { key, version } = summary.manifest ?? { key: '', version: '' };
  const chunks: Buffer[] = [];
  for await (const chunk of await other.memory.get(key, version)) chunks.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(chunks);
}
