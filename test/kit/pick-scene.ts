import { lstatSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Gatherer } from '#src/archive/gather.js';
import { PickTaker } from '#src/archive/pick-taker.js';
import { PickedPaths } from '#src/archive/picked-paths.js';
import { KnownEntries } from '#src/catalog/known-entries.js';
import type { Problem } from '#src/events.js';
import { type BytePath, joinPath, pathForFs, pathFromBytes, pathFromText } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import { lstat, PACKED_STAT_SIZE } from '#src/files/stat.js';
import { lstatPacked } from '#src/files/stat-batch.js';
import { expect, onTestFinished } from 'vitest';
import { pastTheTick } from './backup-machine.js';
import { type CatalogFiles, inBlocks, writeCatalog } from './catalog-files.js';
import { temporaryFolder } from './temporary.js';

export const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What became of what was picked, by names below the root. */
export interface Taken {
  confirmed: string[];
  /** What the gatherer took. */
  others: string[];
  problems: Problem[];
  /** The order of printing, for the next time. */
  order: Uint32Array;
}

/** A tree, the catalog of it as it was once, and pickers' paths of it as it is now. */
export class PickScene {
  readonly root = temporaryFolder();
  #paths: BytePath[] = [];
  #catalog: CatalogFiles | undefined;
  /** As after a first run, which has none. */
  order = new Uint32Array(0);

  at(name: string): BytePath {
    return name === '' ? pathFromText(this.root) : joinPath(pathFromText(this.root), name);
  }

  file(name: string, content = name): void {
    mkdirSync(join(this.root, name, '..'), { recursive: true });
    writeFileSync(pathForFs(this.at(name)), content);
    // A time that can be put back to the nanosecond.
    utimesSync(pathForFs(this.at(name)), 1_600_000_000, 1_600_000_000);
  }

  /** All names below the root, folders before what is in them. */
  names(): string[] {
    const names: string[] = [];
    const visit = (name: string): void => {
      const path = pathForFs(this.at(name));
      if (name !== '') names.push(name);
      if (!lstatSync(path).isDirectory()) return;
      for (const child of readdirSync(path, { encoding: 'buffer' }).map(pathFromBytes).toSorted(byBytes)) {
        visit(name === '' ? child : `${name}/${child}`);
      }
    };
    visit('');
    return names;
  }

  /** The tree as it is now becomes what the last catalog knows, in blocks of so many entries. */
  async remember(blockSize = 3, unsettled: readonly string[] = [], older = false): Promise<void> {
    this.#paths = this.names()
      .map((name) => this.at(name))
      .toSorted(byBytes);
    const entries = this.#paths.map((path) => {
      const stat = lstat(path);
      if (typeof stat === 'string') throw new Error(stat);
      return { path, stat: stat.bytes, settled: !unsettled.includes(this.#nameOf(path)), older };
    });
    this.#catalog = writeCatalog(temporaryFolder(), inBlocks(entries, [blockSize]));
    // What changes from here on has another ctime.
    await pastTheTick();
  }

  pick(names: readonly string[]): Taken {
    return this.take(names.map((name) => this.at(name)));
  }

  take(paths: readonly BytePath[]): Taken {
    const problems: Problem[] = [];
    const picked = new PickedPaths(temporaryFolder());
    const future = BigInt(Date.now() + 60_000) * 1_000_000n;
    const gatherer = new Gatherer(picked, (problem) => problems.push(problem), future);
    const { entriesPath, manifestPath, membersAt } = this.#catalog ?? expect.fail('no catalog');
    const known = new KnownEntries(entriesPath, manifestPath, membersAt, this.order);
    onTestFinished(() => known.close());
    const taker = new PickTaker(gatherer, known);
    const packed = PackedPaths.of(paths);
    taker.pickAll(packed, 'test', lstatPacked(packed.bytes, packed.ends));
    taker.end();
    const others: string[] = [];
    for (const batch of picked.batches()) {
      for (const [index, path] of batch.paths.entries()) {
        // Whatever was taken was looked at where it is.
        const at = batch.statAt[index] ?? -1;
        const stat = lstat(path);
        if (path.startsWith(`${this.root}/`) && typeof stat !== 'string')
          expect(batch.stats.subarray(at, at + PACKED_STAT_SIZE).equals(stat.bytes)).toBe(true);
        others.push(path);
      }
    }
    const confirmed = this.#paths.filter((_, number) => taker.confirmed.has(number));
    expect(taker.confirmed.count).toBe(confirmed.length);
    return {
      confirmed: confirmed.map((path) => this.#nameOf(path)),
      others: others
        .filter((path) => path.startsWith(`${this.root}/`))
        .map((path) => this.#nameOf(path as BytePath)),
      problems,
      order: Uint32Array.from(taker.order),
    };
  }

  /** A run on an unchanged tree, from which the order is known. */
  learn(names: readonly string[]): void {
    this.order = this.pick(names).order as Uint32Array<ArrayBuffer>;
  }

  #nameOf(path: BytePath): string {
    return path.slice(pathFromText(this.root).length + 1);
  }
}
