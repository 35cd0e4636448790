import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expire } from '#src/audit/expire.js';
import { Mender } from '#src/audit/mender.js';
import { failureOf, verify } from '#src/audit/verify.js';
import type { VerifyOptions, VerifyResult } from '#src/audit/verify-options.js';
import { listRuns } from '#src/manifest/runs.js';
import { openDirectoryStore } from '#src/store/directory.js';
import type { ObjectStore, Retention } from '#src/store/port.js';
import { BackupMachine, pastTheTick } from '../../kit/backup-machine.js';
import { changed } from '../../kit/store-wrappers.js';

interface Scene {
  machine: BackupMachine;
  path: string;
  store: ObjectStore;
}

/** A directory with the run of a machine: two objects of their own, a bundle and a snapshot. */
async function backedUp(): Promise<Scene> {
  const machine = new BackupMachine();
  const path = join(machine.folder, 'store');
  const store = await openDirectoryStore({ path, create: true });
  onTestFinished(() => store.close());
  machine.store = store;
  machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: 1024 } };
  machine.write('noise', randomBytes(3000));
  machine.write('text', 'a line of text\n'.repeat(300));
  for (let index = 0; index < 5; index++) machine.write(`member${index}`, `content ${index}`);
  machine.snapshotter('db', 'printf "a dump" >&$1');
  await pastTheTick();
  await machine.archive();
  return { machine, path, store };
}

function check({ machine, path, store }: Scene, options: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  const setAside = { path, manifest: false };
  return verify({ store, readData: 100, spoolFolder: machine.folder, setAside, ...options });
}

/** The files of the keys below a directory of the store. */
function dataIn(path: string, folder: string): string[] {
  return readdirSync(join(path, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, folder, name))
    .filter((file) => !existsSync(`${file}/.`))
    .sort();
}

function sidecarOf(path: string, file: string): string {
  return `${file.replace(path, join(path, 'retention'))}.json`;
}

function rot(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  chmodSync(file, 0o644);
  writeFileSync(file, bytes);
}

describe('verify that sets aside', () => {
  it('moves what is damaged to set-aside/, leaves sidecars and all else, and the next run is whole', async () => {
    const scene = await backedUp();
    const { machine, path } = scene;
    const victims = [
      dataIn(path, 'content')[0] ?? '',
      dataIn(path, 'bundles')[0] ?? '',
      dataIn(path, 'snapshots')[0] ?? '',
    ];
    const damaged = victims.map((file) => {
      rot(file);
      return readFileSync(file);
    });
    const result = await check(scene);
    expect(result.counts).toMatchObject({ damaged: 3, missing: 0 });
    expect(result.mended).toEqual({ setAside: 3, noted: 0, sidecars: 0 });
    expect(result.findings.map(({ done }) => done?.slice(0, 21))).toEqual(
      Array(3).fill('set aside: set-aside/'),
    );
    for (const [index, file] of victims.entries()) {
      expect(existsSync(file)).toBe(false);
      const { version } = JSON.parse(readFileSync(sidecarOf(path, file), 'utf8')) as { version: string };
      const aside = `${file.replace(path, join(path, 'set-aside'))}@${version}`;
      expect(readFileSync(aside).equals(damaged[index] ?? Buffer.alloc(0))).toBe(true);
    }
    const { summary } = await machine.archive();
    expect(summary.outcome).toBe('complete');
    const run = (await listRuns(machine.store)).at(-1);
    expect(failureOf(await check(scene, { setAside: undefined, run }))).toBeUndefined();
    await expire({ path });
    expect(dataIn(path, 'set-aside')).toHaveLength(3);
  });

  it('needs no reading to find what was cut short, and keeps what was set aside of a version before', async () => {
    const scene = await backedUp();
    const { machine, path } = scene;
    const [file = ''] = dataIn(path, 'content');
    for (const length of [7, 9]) {
      chmodSync(file, 0o644);
      truncateSync(file, length);
      const result = await check(scene, { readData: undefined });
      expect(result.findings).toMatchObject([
        { kind: 'damaged', message: expect.stringContaining(`is ${length} bytes long, and`) },
      ]);
      expect(result.mended.setAside).toBe(1);
      await machine.archive();
    }
    expect(dataIn(path, 'set-aside').map((aside) => readFileSync(aside).length)).toEqual([9, 7]);
    expect(failureOf(await check(scene))).toBeUndefined();
  });

  it('notes what is missing, so that the next run stores it again; a snapshot nobody can', async () => {
    const scene = await backedUp();
    const { machine, path } = scene;
    for (const folder of ['content', 'bundles', 'snapshots']) rmSync(dataIn(path, folder)[0] ?? '');
    const result = await check(scene);
    expect(result.counts).toMatchObject({ missing: 3, damaged: 0 });
    expect(result.mended).toEqual({ setAside: 0, noted: 2, sidecars: 0 });
    expect(dataIn(path, 'set-aside').map((file) => readFileSync(file).length)).toEqual([0, 0]);
    const { summary } = await machine.archive();
    expect(summary.stored.objects).toBe(3);
    const run = (await listRuns(machine.store)).at(-1);
    expect(failureOf(await check(scene, { setAside: undefined, run }))).toBeUndefined();
  });

  it('leaves what reads right the second time', async () => {
    const scene = await backedUp();
    const { path, store } = scene;
    const [file = ''] = dataIn(path, 'content');
    let reads = 0;
    const flaky = changed(store, {
      get: async (key, version, range) => {
        if (!file.endsWith(key) || reads++ > 0) return store.get(key, version, range);
        return Readable.from([Buffer.from('not what is there')]);
      },
    });
    const result = await check(scene, { store: flaky });
    expect(result.findings).toMatchObject([
      { kind: 'damaged', done: expect.stringContaining('left in its place') },
    ]);
    expect(result.mended.setAside).toBe(0);
    expect(existsSync(file)).toBe(true);
  });

  it('takes what a disk fails to read for no damage, the first time and the second', async () => {
    const scene = await backedUp();
    const { path, store } = scene;
    const [file = ''] = dataIn(path, 'content');
    const failing = async function* (bytes: Buffer) {
      yield bytes;
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    };
    const brokenFrom = (first: number): ObjectStore => {
      let reads = 0;
      return changed(store, {
        get: async (key, version, range) => {
          if (!file.endsWith(key)) return store.get(key, version, range);
          return reads++ < first
            ? Readable.from([Buffer.from('wrong')])
            : Readable.from(failing(Buffer.from('some')));
        },
      });
    };
    const once = await check(scene, { store: brokenFrom(0) });
    expect(once.findings).toMatchObject([{ kind: 'unreadable', message: expect.stringContaining('EIO') }]);
    const later = await check(scene, { store: brokenFrom(1) });
    expect(later.findings).toMatchObject([
      { kind: 'damaged', done: expect.stringMatching(/left in its place: .*EIO/) },
    ]);
    expect([once.mended.setAside, later.mended.setAside]).toEqual([0, 0]);
    expect(existsSync(file)).toBe(true);
    expect(existsSync(join(path, 'set-aside'))).toBe(false);
  });

  it('leaves what is what was stored, compressed or not: a manifest may say wrong things of it', async () => {
    const { path, store } = await backedUp();
    const mender = await Mender.open(store, path, undefined);
    onTestFinished(() => mender.close());
    const files = [...dataIn(path, 'content'), ...dataIn(path, 'bundles')];
    expect(files.length).toBe(3);
    for (const file of files) {
      const { version } = JSON.parse(readFileSync(sidecarOf(path, file), 'utf8')) as { version: string };
      expect(await mender.setAside(file.slice(path.length + 1), version)).toContain('left in its place');
    }
    expect(mender.mended.setAside).toBe(0);
  });
});

describe('objects whose sidecars cannot be read', () => {
  it('are found, and get them back where all runs are verified: with the longest lock that a run promises', async () => {
    const scene = await backedUp();
    const { machine, path, store } = scene;
    machine.settings = {
      ...machine.settings,
      content: { ...machine.settings.content, daysRetained: 60, mode: 'COMPLIANCE' },
    };
    await machine.archive();
    const files = ['content', 'bundles', 'snapshots'].map((folder) => dataIn(path, folder)[0] ?? '');
    const [content = '', bundle = ''] = files;
    const before = files.map(
      (file) =>
        JSON.parse(readFileSync(sidecarOf(path, file), 'utf8')) as { metadata: object; version: string },
    );
    for (const file of files) utimesSync(file, 1_700_000_000, 1_700_000_000);
    truncateSync(sidecarOf(path, content), 0);
    rmSync(sidecarOf(path, bundle));
    writeFileSync(sidecarOf(path, files[2] ?? ''), 'null');

    const found = await check(scene, { setAside: undefined });
    expect(found.counts).toMatchObject({ hidden: 3, missing: 0, damaged: 0 });
    expect(failureOf(found)).toMatchObject({ code: 'DAMAGED' });
    expect(found.findings[0]?.pathCount).toBeGreaterThan(0);
    const [run] = await listRuns(store);
    const one = await check(scene, { run });
    expect(one.mended.sidecars).toBe(0);

    const mended = await check(scene);
    expect(mended.mended).toEqual({ setAside: 0, noted: 0, sidecars: 3 });
    expect(failureOf(mended)).toBeUndefined();
    const promise = mended.runs.at(-1)?.promise as Retention;
    for (const [index, file] of [content, bundle].entries())
      expect(JSON.parse(readFileSync(sidecarOf(path, file), 'utf8'))).toMatchObject({
        version: before[index]?.version,
        metadata: before[index]?.metadata,
        received: 1_700_000_000_000,
        retention: { mode: 'COMPLIANCE', until: promise.until },
      });
    expect(createHash('md5').update(readFileSync(content)).digest('hex')).toBe(before[0]?.version);
  });
});
