import { LEADS_TO, NO_ENTRY } from '../catalog/print-order.js';

/** Which numbers the entries of the last catalog have in the new one. */
export class EntryNumbers {
  readonly #newOf: Uint32Array;
  #next = 0;

  /** @param known how many entries the last catalog has */
  constructor(known: number) {
    this.#newOf = new Uint32Array(known).fill(NO_ENTRY);
  }

  /** The next entry is written. `known`: its number in the last catalog; undefined where it has none. */
  add(known: number | undefined): void {
    const number = this.#next++;
    if (known !== undefined) this.#newOf[known] = number;
  }

  /** So many entries of the last catalog, from `first` on, are the next. */
  addAll(first: number, count: number): void {
    for (let index = 0; index < count; index++) this.#newOf[first + index] = this.#next++;
  }

  /** An order of the last catalog's entries (catalog/print-order.ts) by their new numbers, without those that are gone. */
  renumbered(order: Uint32Array): Uint32Array {
    const result = new Uint32Array(order.length);
    let length = 0;
    for (let at = 0; at < order.length; at++) {
      const word = order[at] ?? 0;
      const leadsTo = (word & LEADS_TO) !== 0 ? (order[++at] ?? NO_ENTRY) : NO_ENTRY;
      const number = this.#newOf[word & ~LEADS_TO] ?? NO_ENTRY;
      const target = this.#newOf[leadsTo] ?? NO_ENTRY;
      if (number === NO_ENTRY) continue;
      if (target === NO_ENTRY) result[length++] = number;
      else {
        result[length++] = number | LEADS_TO;
        result[length++] = target;
      }
    }
    return result.subarray(0, length);
  }
}
