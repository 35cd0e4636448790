import type { EntryBlock } from '../catalog/entry-blocks.js';
import type { KnownEntries } from '../catalog/known-entries.js';
import { LEADS_TO, NO_ENTRY } from '../catalog/print-order.js';
import { type BytePath, parentOf } from '../files/byte-path.js';
import { PackedPaths, startOf } from '../files/packed-paths.js';
import { kindOfWords, PACKED_STAT_WORDS } from '../files/stat.js';
import { lstatPacked, type StatBatch } from '../files/stat-batch.js';
import { Bits } from './bits.js';
import type { Gatherer } from './gather.js';
import { GrowingWords } from './growing-words.js';
import type { StatTaker } from './look-ahead.js';

/** A symlink that is as it was, while what it leads to has not been printed yet. */
interface WaitingLink {
  path: BytePath;
  picker: string;
  number: number;
  leadsTo: number;
}

/** Links that may wait. */
const MOST_WAITING = 10_000;

/**
 * Takes what was picked. Where the last catalog has an entry of just that path, and the file there is as it was, the
 * entry is *confirmed*: nothing more is made of the path, which is the way of nearly all. Everything else is the
 * gatherer's.
 *
 * That a file is as it was says nothing of its path: each folder above must still be one, and no symlink. The gatherer
 * tells, once for each folder of a block. A symlink is confirmed where what it led to is confirmed too: its text is as
 * it was, and of the path there no more than the folders above its end can be links now.
 */
export class PickTaker implements StatTaker {
  /** The confirmed entries, by their numbers. */
  readonly confirmed: Bits;
  readonly #gatherer: Gatherer;
  readonly #known: KnownEntries | undefined;
  /** Which folders of a block are known to be real, by their numbers in it. */
  readonly #real = new WeakMap<EntryBlock, Uint8Array>();
  readonly #order = new GrowingWords();
  #waiting: WaitingLink[] = [];

  constructor(gatherer: Gatherer, known: KnownEntries | undefined) {
    this.#gatherer = gatherer;
    this.#known = known;
    this.confirmed = new Bits(known?.count ?? 0);
  }

  /** Which entries of the last catalog were printed, in their order (catalog/print-order.ts). */
  get order(): Uint32Array {
    return this.#order.all;
  }

  pickAll(paths: PackedPaths, picker: string, stats: StatBatch): void {
    const known = this.#known;
    if (known === undefined) {
      for (let index = 0; index < paths.count; index++) this.#gather(paths, index, picker, stats);
      return;
    }
    const { errors, words } = stats;
    const { bytes, ends, count } = paths;
    for (let index = 0; index < count; index++) {
      const number = known.find(bytes, startOf(ends, index), ends[index] ?? 0);
      const { block, leadsTo } = known;
      if (number < 0 || block === undefined) {
        this.#gather(paths, index, picker, stats);
        continue;
      }
      const failed = errors.size > 0 && errors.has(index);
      if (!failed && this.#isAsItWas(block, number - block.first, words, index * PACKED_STAT_WORDS)) {
        const kind = kindOfWords(words, index * PACKED_STAT_WORDS);
        if (kind === 'symlink' && this.#confirmLink(paths, index, picker, number, leadsTo)) continue;
        if (kind === 'file' || kind === 'directory') {
          if (kind === 'directory') this.#gatherer.knowFolder(block.path(number - block.first));
          this.confirmed.add(number);
          this.#order.push(number);
          continue;
        }
      }
      this.#gather(paths, index, picker, stats);
      this.#remember(known, number);
    }
  }

  /** To be called when all has been taken. */
  end(): void {
    for (const { path, picker, number, leadsTo } of this.#waiting) {
      if (this.confirmed.has(leadsTo)) {
        this.confirmed.add(number);
        continue;
      }
      const { bytes, ends } = PackedPaths.of([path]);
      this.#gatherer.pick(path, picker, lstatPacked(bytes, ends), 0);
    }
    this.#waiting = [];
  }

  #gather(paths: PackedPaths, index: number, picker: string, stats: StatBatch): void {
    this.#gatherer.pick(paths.path(index), picker, stats, index);
  }

  #isAsItWas(block: EntryBlock, entry: number, words: Int32Array, at: number): boolean {
    return block.isSame(entry, words, at) && this.#isInRealFolder(block, entry);
  }

  #isInRealFolder(block: EntryBlock, entry: number): boolean {
    let real = this.#real.get(block);
    if (real === undefined) {
      real = new Uint8Array(block.count);
      this.#real.set(block, real);
    }
    const folder = block.folder(entry);
    if (real[folder] === 1) return true;
    if (!this.#gatherer.isRealFolder(parentOf(block.path(entry)))) return false;
    real[folder] = 1;
    return true;
  }

  #confirmLink(paths: PackedPaths, index: number, picker: string, number: number, leadsTo: number): boolean {
    if (leadsTo === NO_ENTRY) return false;
    if (this.confirmed.has(leadsTo)) this.confirmed.add(number);
    else if (this.#waiting.length >= MOST_WAITING) return false;
    else this.#waiting.push({ path: paths.path(index), picker, number, leadsTo });
    this.#order.push(number | LEADS_TO);
    this.#order.push(leadsTo);
    return true;
  }

  /** Notes where an entry stands in the order, and what it leads to, if it is a symlink's. */
  #remember(known: KnownEntries, number: number): void {
    const { leadsTo } = this.#gatherer;
    const target = leadsTo === undefined ? -1 : known.numberOf(leadsTo);
    if (target < 0) this.#order.push(number);
    else {
      this.#order.push(number | LEADS_TO);
      this.#order.push(target);
    }
  }
}
