import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ContentObjects, rowOf } from '#src/archive/content-objects.js';
import { ContentFinder } from '#src/archive/find-content.js';
import { Journal } from '#src/catalog/journal.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import { readObjectsFile, writeObjectsFile } from '#src/catalog/objects-file.js';
import { DAY_SECONDS, LockDates } from '#src/store/lock-dates.js';
import { MemoryStore } from '#src/store/memory.js';
import { listAll } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const DAYS = 400;
const FILES = 240;
/** A dozen contents, so that there are as many bundles as on a machine with a gigabyte of small files. */
const BUNDLE_BYTES = 20 << 10;
const RECORD = 512;

/** Which part of the files changes in a day: by their number. */
type Changes = (file: number) => number;

const uniform =
  (perDay: number): Changes =>
  () =>
    perDay;
/** One in five far more than the others, and lying among them. */
const hotAndCold =
  (perDay: number): Changes =>
  (file) =>
    file % 5 === 0 ? Math.min(0.5, perDay * 5) : perDay / 10;

/** Numbers from 0 to 1 that are the same in each test run (mulberry32, public domain). */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Content {
  sha: Buffer;
  bytes: Buffer;
}

/** A machine whose contents go into bundles day by day, by the code that a run uses, and a bucket with a lifecycle. */
class Simulation {
  readonly #retained: number;
  readonly #changes: Changes;
  readonly #roll: () => number;
  readonly #folder = temporaryFolder();
  #nowMs = Date.parse('2026-01-01T02:00:00Z');
  readonly #store = new MemoryStore({ now: () => this.#nowMs });
  #made = 0;
  readonly #files: Content[];
  #table = new ObjectTable();
  /** By SHA-256: the day of the last run that named it, and what it takes in a tar. */
  readonly #named = new Map<string, { day: number; bytes: number }>();

  constructor(retained: number, changes: Changes, seed: number) {
    this.#retained = retained;
    this.#changes = changes;
    this.#roll = dice(seed);
    this.#files = Array.from({ length: FILES }, () => this.#content());
  }

  /** The run of a day and the night after it. Returns the bytes stored then, and those that a promise still covers. */
  async pass(day: number): Promise<{ stored: number; live: number }> {
    if (day > 0) this.#change();
    await this.#run();
    for (const { sha, bytes } of this.#files) {
      const inTar = RECORD + Math.ceil(bytes.length / RECORD) * RECORD;
      this.#named.set(sha.toString('hex'), { day, bytes: inTar });
    }
    this.#nowMs += DAY_SECONDS * 1000;
    this.#store.passNight({ expireAfterDays: this.#retained, noncurrentDays: 1 });
    let live = 0;
    for (const [sha, { day: last, bytes }] of this.#named) {
      if (last + this.#retained > day + 1) live += bytes;
      else this.#named.delete(sha);
    }
    let stored = 0;
    for await (const { size } of listAll(this.#store, { prefix: 'bundles/' })) stored += size;
    return { stored, live };
  }

  async #run(): Promise<void> {
    const journal = Journal.open(join(this.#folder, 'journal'), { store: '', backupName: '' }, false);
    const objects = new ContentObjects({
      store: this.#store,
      table: this.#table,
      journal,
      locks: LockDates.ofRun(this.#nowMs, this.#retained, 'GOVERNANCE'),
      finder: new ContentFinder(this.#store, true),
      onEvent: () => undefined,
      bundleBelow: 1 << 20,
      maxBytes: BUNDLE_BYTES,
      afterPut: async () => undefined,
    });
    const rows = this.#files.map(({ sha, bytes }) => {
      const block = { bytes, md5: '', enc: undefined };
      return rowOf(objects.ensure(sha, block, bytes.length));
    });
    // What is let go goes into a bundle once that is known.
    await new Promise(setImmediate);
    objects.flush();
    await Promise.all(rows);
    journal.remove();
    // As the next run gets it: through the file.
    const path = join(this.#folder, 'objects');
    writeObjectsFile(path, this.#table, this.#nowMs / 1000);
    this.#table = readObjectsFile(path).table;
  }

  #change(): void {
    for (let file = 0; file < FILES; file++)
      if (this.#roll() < this.#changes(file)) this.#files[file] = this.#content();
  }

  #content(): Content {
    const bytes = Buffer.alloc(200 + Math.floor(this.#roll() * 1600));
    bytes.writeUInt32LE(this.#made++);
    return { bytes, sha: createHash('sha256').update(bytes).digest() };
  }
}

describe('400 days of bundles', () => {
  const rates = [0.002, 0.008, 0.025, 0.1];
  it.each([
    ...[7, 30].flatMap((retained) =>
      rates.map((rate) => ({ retained, rate, of: 'all files', changes: uniform(rate) })),
    ),
    ...[...rates, 0.05, 0.2].map((rate) => ({
      retained: 7,
      rate,
      of: 'the files, some far more than others,',
      changes: hotAndCold(rate),
    })),
  ])(
    'kept $retained days, $rate of $of changing a day, store at most twice what lives and one bundle',
    async ({ retained, changes }) => {
      const simulation = new Simulation(retained, changes, 7);
      let worst = 0;
      for (let day = 0; day < DAYS; day++) {
        const { stored, live } = await simulation.pass(day);
        if (day < retained) continue;
        worst = Math.max(worst, (stored - BUNDLE_BYTES) / live);
      }
      expect(worst).toBeLessThan(2);
      expect(worst).toBeGreaterThan(1);
    },
    60_000,
  );
});
