import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { rebuildCatalog } from '#src/audit/rebuild-catalog.js';
import { failureOf, verify } from '#src/audit/verify.js';
import { FrameReader, FrameWriter } from '#src/catalog/frames.js';
import { Journal } from '#src/catalog/journal.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { BackupMachine, pastTheTick, type RunResult } from '../../kit/backup-machine.js';
import { changed } from '../../kit/store-wrappers.js';

const SHARES = 7;

/** A machine that backs up into a directory: some objects of their own, and a bundle. */
async function inDirectory(): Promise<{ machine: BackupMachine; path: string }> {
  const machine = new BackupMachine();
  const path = join(machine.folder, 'store');
  const store = await openDirectoryStore({ path, create: true });
  onTestFinished(() => store.close());
  machine.store = store;
  fill(machine);
  await pastTheTick();
  return { machine, path };
}

function fill(machine: BackupMachine): void {
  machine.settings = { ...machine.settings, content: { ...machine.settings.content, bundleBelow: 1024 } };
  for (let index = 0; index < 8; index++) machine.write(`object${index}`, randomBytes(3000));
  for (let index = 0; index < 5; index++) machine.write(`member${index}`, randomBytes(100));
}

/** Paths of the data below `content/` and `bundles/`, the first of each first. */
function dataIn(path: string): string[] {
  return ['content', 'bundles'].flatMap((folder) =>
    readdirSync(join(path, folder)).map((name) => join(path, folder, name)),
  );
}

/** Changes a byte in the middle. */
function rot(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
  chmodSync(file, 0o644);
  writeFileSync(file, bytes);
}

function cut(file: string): void {
  chmodSync(file, 0o644);
  truncateSync(file, 20);
}

/** So many runs that each share of the known objects is asked after once. */
async function everyShare(machine: BackupMachine, store?: ObjectStore): Promise<RunResult[]> {
  const results: RunResult[] = [];
  for (let turn = 0; turn < SHARES; turn++)
    results.push(await machine.archive(store === undefined ? {} : { store }));
  return results;
}

function sumOfStored(results: readonly RunResult[]): number {
  return results.reduce((sum, { summary }) => sum + summary.stored.objects, 0);
}

async function isWhole(machine: BackupMachine): Promise<boolean> {
  const result = await verify({ store: machine.store, readData: 100, spoolFolder: machine.folder });
  return failureOf(result) === undefined;
}

/** Writes the catalog of the last run in the form of the program before it kept sizes. */
function withoutSizes(machine: BackupMachine): void {
  const [state = ''] = readdirSync(machine.statePath).filter((name) => name !== 'stores');
  const folder = join(machine.statePath, state);
  const path = join(folder, readFileSync(join(folder, 'current'), 'utf8').trim(), 'objects');
  const reader = new FrameReader(path);
  const frames: { type: number; payload: Buffer }[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next())
    frames.push({ type: frame.type, payload: Buffer.from(frame.payload) });
  reader.close();
  const writer = new FrameWriter(path);
  for (const { type, payload } of frames) {
    if (type === 7) writer.write(6, payload);
    else if (type === 2) {
      const bundles = JSON.parse(payload.toString()) as Record<string, unknown>[];
      for (const bundle of bundles) delete bundle['stored'];
      writer.write(2, Buffer.from(JSON.stringify(bundles)));
    } else writer.write(type, payload);
  }
  writer.finish();
}

describe('objects that were cut short', () => {
  it('are noticed within seven runs, in a bundle too, and stored again', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    const [object = '', ...others] = dataIn(path);
    cut(object);
    cut(others.at(-1) ?? '');
    const results = await everyShare(machine);
    expect(sumOfStored(results)).toBe(2);
    const warnings = results.flatMap(({ warnings }) => warnings);
    const counts = warnings.map((text) => /^(\d+) objects .* are longer or shorter/.exec(text)?.[1]);
    expect(counts.reduce((sum, count) => sum + Number(count), 0)).toBe(2);
    expect(warnings.join()).toMatch(/\((content|bundles)\/[0-9a-f]{64}/);
    expect(results.map(({ summary }) => summary.outcome)).toEqual(Array(SHARES).fill('complete'));
    expect(await isWhole(machine)).toBe(true);
  });

  it('are noticed in a bucket by the size that its listing shows', async () => {
    const machine = new BackupMachine();
    fill(machine);
    await machine.archive();
    let victim: string | undefined;
    const store = changed(machine.memory, {
      list: async (request) => {
        const page = await machine.memory.list(request);
        for (const row of page.versions) {
          victim ??= row.key.startsWith('content/') ? row.key : undefined;
          if (row.key === victim) row.size -= 1;
        }
        return page;
      },
    });
    const results = await everyShare(machine, store);
    expect(sumOfStored(results)).toBe(1);
    const listed: string[] = [];
    for await (const { key } of listAll(machine.memory, { prefix: victim ?? '?' })) listed.push(key);
    expect(listed).toHaveLength(2);
  });

  it('are noticed in a directory although the catalog of before knows no size', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    withoutSizes(machine);
    cut(dataIn(path)[0] ?? '');
    expect(sumOfStored(await everyShare(machine))).toBe(1);
    expect(await isWhole(machine)).toBe(true);
  });

  it('are noticed too where the journal of a run that was killed knows of them', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    const [state = ''] = readdirSync(machine.statePath);
    const folder = join(machine.statePath, state);
    // One line as it is now, one as it was before sizes were kept.
    const [one = '', two = ''] = dataIn(path);
    const journal = Journal.open(
      join(folder, 'journal'),
      { store: machine.store.identity, backupName: machine.settings.backupName },
      false,
    );
    for (const [file, size] of [
      [one, { size: 3000 }],
      [two, {}],
    ] as const) {
      const version = createHash('md5').update(readFileSync(file)).digest('hex');
      journal.add({
        sha: file.slice(-64),
        version,
        until: Math.ceil(Date.now() / 1000) + 20 * 86_400,
        ...size,
      });
    }
    journal.close();
    await machine.archive();
    expect(sumOfStored(await everyShare(machine))).toBe(0);
    for (const file of [one, two]) cut(file);
    expect(sumOfStored(await everyShare(machine))).toBe(2);
    expect(await isWhole(machine)).toBe(true);
  });
});

describe('rotten objects in a directory on this machine', () => {
  it('are hashed before they are used where a listing has shown them, and stored again from the bytes at hand', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    const [object = ''] = dataIn(path);
    rot(object);
    rmSync(machine.statePath, { recursive: true });
    const { summary } = await machine.archive();
    // The bundle is stored again anyway.
    expect(summary.stored.objects).toBe(2);
    expect(summary.reused).toBeGreaterThanOrEqual(7);
    expect(await isWhole(machine)).toBe(true);
  });

  it('are hashed too where a rebuilt catalog has them', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    rot(dataIn(path)[0] ?? '');
    rmSync(machine.statePath, { recursive: true });
    await rebuildCatalog({ settings: machine.settings, store: machine.store });
    const { summary, asked } = await machine.archive();
    expect(summary.stored.objects).toBe(1);
    expect(asked.filter(({ kind }) => kind === 'put-retention')).toHaveLength(0);
    expect(await isWhole(machine)).toBe(true);
  });
});

describe('objects without a readable sidecar', () => {
  it('are reported within seven runs, and get it back in their place as they are stored again', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    const files = dataIn(path);
    for (const file of files) truncateSync(`${file.replace(path, join(path, 'retention'))}.json`, 0);
    const results = await everyShare(machine);
    const warnings = results.flatMap(({ warnings }) => warnings);
    expect(warnings.join()).toContain('is there, but not their sidecars');
    expect(sumOfStored(results)).toBe(files.length);
    expect(dataIn(path)).toEqual(files);
    expect(await isWhole(machine)).toBe(true);
  });
});

describe('what was set aside', () => {
  it('counts as gone at the start of the next run of each machine, and is stored again, until it is back', async () => {
    const { machine, path } = await inDirectory();
    await machine.archive();
    const files = dataIn(path);
    const victims = [files[0] ?? '', files.at(-1) ?? ''];
    for (const file of victims) {
      rot(file);
      const { version } = JSON.parse(
        readFileSync(`${file.replace(path, join(path, 'retention'))}.json`, 'utf8'),
      ) as { version: string };
      const to = `${file.replace(path, join(path, 'set-aside'))}@${version}`;
      mkdirSync(dirname(to), { recursive: true });
      renameSync(file, to);
    }
    const first = await machine.archive();
    expect(first.summary.stored.objects).toBe(2);
    expect(first.warnings).toEqual([
      expect.stringContaining('2 objects that this machine knows were set aside'),
    ]);
    for (const file of victims) expect(existsSync(file)).toBe(true);
    const second = await machine.archive();
    expect(second.summary.stored.objects).toBe(0);
    expect(second.warnings).toEqual([]);
    expect(await isWhole(machine)).toBe(true);
  });
});
