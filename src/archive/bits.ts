/** A set of numbers below a limit, one bit each. */
export class Bits {
  readonly #words: Uint32Array;
  #count = 0;

  constructor(limit: number) {
    this.#words = new Uint32Array(Math.ceil(limit / 32));
  }

  add(number: number): void {
    const at = number >>> 5;
    const word = this.#words[at] ?? 0;
    const bit = 1 << (number & 31);
    if ((word & bit) !== 0) return;
    this.#words[at] = word | bit;
    this.#count++;
  }

  has(number: number): boolean {
    return ((this.#words[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0;
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }
}
