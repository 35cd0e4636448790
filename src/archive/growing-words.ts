/** Words of 32 bits, one after another, four bytes each. */
export class GrowingWords {
  #words = new Uint32Array(1024);
  #length = 0;

  push(word: number): void {
    if (this.#length === this.#words.length) {
      const larger = new Uint32Array(this.#length * 2);
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[this.#length++] = word;
  }

  get all(): Uint32Array {
    return this.#words.subarray(0, this.#length);
  }
}
