import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { BlockRef, FileEntry } from '#src/manifest/types.js';
import { StoreError } from '#src/store/store-error.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import { restore } from '#src/restore/restore.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, type RunResult } from '../../kit/backup-machine.js';
import { FaultyStore } from '../../kit/faulty-store.js';
import { temporaryFolder } from '../../kit/temporary.js';

const MIB = 1 << 20;
const BLOCKS = 64;

/** A machine with a file of 64 blocks of 1 MiB, as large an image has of 16 MiB, and what a first run of it stored. */
async function machineWithImage(): Promise<{ machine: BackupMachine; image: string }> {
  const machine = new BackupMachine();
  machine.settings = { ...machine.settings, content: { ...machine.settings.content, blockSize: MIB } };
  const image = machine.write('image', randomBytes(BLOCKS * MIB));
  const { summary } = await machine.archive({ workers: 2 });
  expect(summary.stored).toEqual({ objects: BLOCKS, bytes: BLOCKS * MIB });
  return { machine, image };
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

/** A run later; what it stored, by key and size. */
async function runAgain(machine: BackupMachine): Promise<RunResult & { sizes: number[] }> {
  machine.now += 1000;
  const result = await machine.archive({ workers: 2 });
  const sizes = result.events.flatMap((event) =>
    event.type === 'stored' && event.key.startsWith('content/') ? [event.size] : [],
  );
  const puts = result.asked.filter(({ kind }) => kind === 'put');
  expect(puts).toHaveLength(sizes.length + 1);
  expect(result.asked.filter(({ kind }) => kind === 'put-retention')).toEqual([]);
  return { ...result, sizes };
}

async function expectRestored(machine: BackupMachine, image: string): Promise<void> {
  const run = await resolveRun(machine.store, 'latest');
  const target = temporaryFolder();
  await restore({ store: machine.store, run, target, spoolFolder: target });
  expect(readFileSync(join(target, image)).equals(readFileSync(image))).toBe(true);
}

describe('a file of many blocks', () => {
  it('that is changed in place has the changed blocks stored, and no other', async () => {
    const { machine, image } = await machineWithImage();
    const changed = [0, 7, 8, 31, 63];
    for (const block of changed) overwrite(image, block * MIB, randomBytes(MIB));
    const { sizes, summary } = await runAgain(machine);
    expect(sizes).toEqual(changed.map(() => MIB));
    const { dat } = (await machine.entries(summary)).get('image') as FileEntry;
    expect(dat).toHaveLength(BLOCKS);
    await expectRestored(machine, image);
  });

  it('has a block stored for each page that is changed in one of its own', async () => {
    const { machine, image } = await machineWithImage();
    for (const block of [3, 30, 60]) overwrite(image, block * MIB + 4096 * block, randomBytes(4096));
    // Two pages in one block, and one across a border.
    overwrite(image, 40 * MIB + 100, randomBytes(4096));
    overwrite(image, 41 * MIB - 2048, randomBytes(4096));
    expect((await runAgain(machine)).sizes).toHaveLength(5);
    await expectRestored(machine, image);
  });

  it('that is appended to has its end stored', async () => {
    const { machine, image } = await machineWithImage();
    appendFileSync(image, randomBytes(2.5 * MIB));
    expect((await runAgain(machine)).sizes.sort((a, b) => b - a)).toEqual([MIB, MIB, MIB / 2]);
    // Now the last block is a short one, and grows.
    appendFileSync(image, randomBytes(MIB));
    expect((await runAgain(machine)).sizes.sort((a, b) => a - b)).toEqual([MIB / 2, MIB]);
    await expectRestored(machine, image);
  });

  it('that is renamed, or shifted by whole blocks, has nothing stored but what is new', async () => {
    const { machine, image } = await machineWithImage();
    renameSync(image, `${image} of yesterday`);
    expect((await runAgain(machine)).sizes).toEqual([]);
    const shifted = Buffer.concat([randomBytes(MIB), readFileSync(`${image} of yesterday`)]);
    machine.write('image of yesterday', shifted);
    expect((await runAgain(machine)).sizes).toEqual([MIB]);
    await expectRestored(machine, `${image} of yesterday`);
  });

  it('has blocks that follow each other and are equal named once, new ones and known ones, holes too', async () => {
    const machine = new BackupMachine();
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, blockSize: MIB } };
    const [one, two] = [randomBytes(MIB), randomBytes(MIB)];
    const image = machine.write('image', Buffer.concat([one, one, two, one, one, one]));
    truncateSync(image, 10.5 * MIB);
    for (const run of ['first', 'second']) {
      const { summary } = await machine.archive({ workers: 2 });
      expect(summary.stored.objects).toBe(run === 'first' ? 4 : 1);
      const { dat } = (await machine.entries(summary)).get('image') as FileEntry;
      const blocks = (dat as BlockRef[]).map(({ key, size, n = 1 }) => ({ key, size, n }));
      expect(blocks.map(({ n }) => n)).toEqual([2, 1, 3, 4, 1]);
      expect(blocks.reduce((sum, { size, n }) => sum + size * n, 0)).toBe(statSync(image).size);
      expect(blocks[2]?.key).toBe(blocks[0]?.key);
      await expectRestored(machine, image);
      appendFileSync(image, 'a longer last block');
      machine.now += 1000;
    }
  });

  it('has its blocks renewed once they are due, and those stored again whose lock the store does not extend', async () => {
    const { machine, image } = await machineWithImage();
    const { memory } = machine;
    const { versions } = await memory.list({ prefix: 'content/' });
    const gone = versions.slice(0, 3);
    const refused = versions.slice(3, 5).map(({ key }) => key);
    machine.now += 20 * 24 * 3600 * 1000;
    for (const { key, version } of gone) memory.deleteVersion(key, version, { bypassGovernance: true });
    overwrite(image, 5 * MIB, randomBytes(10));
    const denied = () => new StoreError('ACCESS_DENIED', 'no');
    const store = new FaultyStore(
      memory,
      refused.map((key) => ({
        request: 'put-retention',
        key: new RegExp(key),
        when: 'before',
        error: denied,
      })),
    );
    const { summary, asked } = await machine.archive({ workers: 2, store });
    const keys = (wanted: string) => asked.filter(({ kind }) => kind === wanted).map(({ key }) => key);
    const stored = keys('put').filter((key) => key.startsWith('content/'));
    expect(stored).toEqual(expect.arrayContaining(refused));
    // A rotating seventh of them was asked for, and those gone were noticed then; the others' renewal said so.
    const { dat } = (await machine.entries(summary)).get('image') as FileEntry;
    expect(dat).toHaveLength(BLOCKS);
    expect(stored.length).toBeLessThanOrEqual(gone.length + refused.length + 1);
    expect(new Set(keys('put-retention')).size).toBeGreaterThanOrEqual(BLOCKS - gone.length - 1);
    const needed = machine.now / 1000 + 14 * 24 * 3600;
    for (const { key, ver } of dat as BlockRef[])
      expect((await memory.getRetention(key, ver))?.until).toBeGreaterThanOrEqual(needed);
    await expectRestored(machine, image);
  });

  it('that is cut short has nothing stored but a new last block', async () => {
    const { machine, image } = await machineWithImage();
    machine.write('image', readFileSync(image).subarray(0, 10.25 * MIB));
    expect((await runAgain(machine)).sizes).toEqual([MIB / 4]);
    await expectRestored(machine, image);
  });
});
